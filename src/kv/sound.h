/* LMDB keeps no checksums and trusts its pages, so that a damaged file can kill the process that
 * reads it. Before it is opened a child walks over it, whose death tells. */
#ifndef GATEHOUSE_KV_SOUND_H
#define GATEHOUSE_KV_SOUND_H

#include <stdbool.h>
#include <stddef.h>

/* A database of the file, and what its entries are like. */
struct sound_database {
    const char *name; /* NULL: the one without a name */
    unsigned flags;   /* of mdb_dbi_open */
    size_t key_max, value_min;
};

/* All of them can be read from end to end, in at most KV_CHECK_SECONDS of CPU. true also when there
 * is no file, an empty one, one with named databases to which nothing was written yet, or no
 * process to spare. */
bool file_sound(const char *path, const struct sound_database *v, size_t n);

#endif

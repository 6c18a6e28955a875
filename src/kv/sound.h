/* LMDB keeps no checksums and trusts its pages, so that a damaged file can kill the process that
 * reads it. Before it is opened a child walks over it, whose death tells. */
#ifndef GATEHOUSE_KV_SOUND_H
#define GATEHOUSE_KV_SOUND_H

#include <stdbool.h>

/* look opens the file and reads all of it; it runs in the child, with at most KV_CHECK_SECONDS of
 * CPU. true also when there is no file, an empty one, or no process to spare. */
bool file_sound(const char *path, bool (*look)(const char *path));

#endif

/* Members of a zip archive in memory, one after the other, through libarchive. Room-private.
 *
 * Limits, because a stranger made the archive: ZIP_MEMBERS members are seen, of each at most
 * ZIP_MEMBER_MAX bytes are unpacked, and of one message all together what the caller's budget
 * holds. */
#ifndef GATEHOUSE_RULES_ZIP_H
#define GATEHOUSE_RULES_ZIP_H

#include "base/arena.h"

enum {
    ZIP_MEMBERS = 10000,
    ZIP_MEMBER_MAX = 8 << 20,
    ZIP_BUDGET = 32 << 20 /* unpacked bytes of one message */
};

struct zip;

struct zip_member {
    struct span name; /* in the arena */
    bool encrypted;
};

/* NULL when the bytes are no zip archive that can be read. data must stay as long as the result;
 * *budget is what may still be unpacked. */
struct zip *zip_open(struct arena *a, struct span data, size_t *budget);
bool zip_next(struct zip *z, struct zip_member *out);
/* The bytes of the member that zip_next gave last, once; absent when they can't be unpacked or the
 * budget is used up. */
struct span zip_contents(struct zip *z);
void zip_close(struct zip *z);

#endif

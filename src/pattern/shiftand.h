/* Short runs of byte sets found in one pass, all at once: the extended Shift-And automaton
 * (Navarro, Raffinot 1998). One bit an item; an item may be followed by bytes that are skipped.
 * Room-private. */
#ifndef GATEHOUSE_PATTERN_SHIFTAND_H
#define GATEHOUSE_PATTERN_SHIFTAND_H

#include "pattern/need.h"

#include "base/buf.h"
#include "base/cursor.h"

enum { SHIFTAND_LANES = 8 }; /* words are used eight at a time */

struct shiftand {
    size_t words; /* multiple of SHIFTAND_LANES; 0: no runs */
    size_t nclasses;
    uint8_t class_of[256];
    uint64_t *next, *stay;  /* [class][word] */
    uint64_t *first, *last; /* [word] */
    uint32_t *run_of;       /* by bit: which run ends there */
};

struct shiftand *shiftand_build(struct arena *a, const struct byteset_table *sets,
                                const struct run *const *runs, size_t n);
/* The string is looked at in blocks, so that it is known about where a run ended: block i is bytes
 * [i * shiftand_block, (i + 1) * shiftand_block). */
enum { SHIFTAND_BLOCKS = 16, SHIFTAND_BLOCK_MIN = 64 };

static inline size_t shiftand_block(size_t n)
{
    size_t least = (n + SHIFTAND_BLOCKS - 1) / SHIFTAND_BLOCKS;
    return least > SHIFTAND_BLOCK_MIN ? least : SHIFTAND_BLOCK_MIN;
}

/* Which runs have ended in which block of s: `ended` has SHIFTAND_BLOCKS times `words` words, of
 * which those of blocks that s does not have are left as they are; true when any has. */
bool shiftand_scan(const struct shiftand *m, struct span s, uint64_t *ended);

void shiftand_save(const struct shiftand *m, struct buf *out);
struct shiftand *shiftand_load(struct arena *a, struct cursor *in);

#endif

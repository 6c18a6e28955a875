/* Short runs of byte sets found in one pass, all at once: the extended Shift-And automaton
 * (Navarro, Raffinot 1998). One bit an item; an item may be followed by bytes that are skipped.
 * Room-private. */
#ifndef GATEHOUSE_RULES_SHIFTAND_H
#define GATEHOUSE_RULES_SHIFTAND_H

#include "rules/need.h"

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
                                const struct run *runs, size_t n);
/* Which words have ended runs in s: `ended` has `words` words; true when any has. */
bool shiftand_scan(const struct shiftand *m, struct span s, uint64_t *ended);

void shiftand_save(const struct shiftand *m, struct buf *out);
struct shiftand *shiftand_load(struct arena *a, struct cursor *in);

#endif

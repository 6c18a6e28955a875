#include "message/facts.h"

void facts_add(struct facts *f, struct arena *a, const char *name, struct span value)
{
    *ARENA_PUSH(a, f->facts, f->nfacts, f->facts_cap) =
        (struct fact){arena_strdup(a, name), arena_dup(a, value)};
}

void facts_skip(struct facts *f, struct arena *a, const char *check, struct span why)
{
    *ARENA_PUSH(a, f->skipped, f->nskipped, f->skipped_cap) =
        (struct skipped){arena_strdup(a, check), arena_dup(a, why)};
}

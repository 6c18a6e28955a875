/* Where the time of a message goes, stage by stage. Every function takes NULL for "nobody asked",
 * which costs a comparison. */
#ifndef GATEHOUSE_BASE_LAPS_H
#define GATEHOUSE_BASE_LAPS_H

#include <stddef.h>
#include <stdint.h>

enum stage {
    STAGE_PARSE,       /* header fields, tree of parts */
    STAGE_RELAYS,      /* Received lines */
    STAGE_DECODE,      /* transfer encodings and charsets */
    STAGE_HTML,        /* HTML to text */
    STAGE_LINES,       /* body and raw body as rules read them */
    STAGE_URIS,        /* found in the text, and their domains */
    STAGE_ATTACHMENTS, /* what plugins read of attachments */
    STAGE_HEADERS,     /* values of header fields */
    STAGE_CANDIDATES,  /* which rules may match at all */
    STAGE_CONFIRM,     /* their regular expressions */
    STAGE_EVALS,       /* functions */
    STAGE_METAS,
    STAGE_REPORT,
    STAGE_COUNT
};

struct laps {
    uint64_t last;
    uint64_t ns[STAGE_COUNT];
};

uint64_t laps_now(void); /* nanoseconds since some start */
const char *stage_name(enum stage s);

static inline void laps_begin(struct laps *l)
{
    if (l)
        l->last = laps_now();
}

/* What has passed since the last call belongs to s. */
static inline void lap(struct laps *l, enum stage s)
{
    if (!l)
        return;
    uint64_t now = laps_now();
    l->ns[s] += now - l->last;
    l->last = now;
}

#endif

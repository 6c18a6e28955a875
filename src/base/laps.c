#include "base/laps.h"

#include <time.h>

uint64_t laps_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

const char *stage_name(enum stage s)
{
    static const char *const names[STAGE_COUNT] = {
        [STAGE_PARSE] = "parse",
        [STAGE_RELAYS] = "relays",
        [STAGE_DECODE] = "decode",
        [STAGE_HTML] = "html",
        [STAGE_LINES] = "lines",
        [STAGE_URIS] = "uris",
        [STAGE_ATTACHMENTS] = "attachments",
        [STAGE_HEADERS] = "headers",
        [STAGE_CANDIDATES] = "candidates",
        [STAGE_CONFIRM] = "confirmation",
        [STAGE_EVALS] = "functions",
        [STAGE_METAS] = "metas",
        [STAGE_REPORT] = "report",
    };
    return s < STAGE_COUNT ? names[s] : "unknown";
}

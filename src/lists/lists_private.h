#ifndef GATEHOUSE_LISTS_LISTS_PRIVATE_H
#define GATEHOUSE_LISTS_LISTS_PRIVATE_H

#include "lists/lists.h"

/* One zone and the ways to read its answers. */
struct zone {
    struct lists *lists;
    struct span name;
    enum list_kind kind;
    struct list_spec **specs;
    size_t n, cap;
    double least;       /* sum of its negative weights: what it could still subtract */
    const char *broken; /* why it is not asked, or NULL */
    unsigned silent_in_row;
    uint64_t questions, hits, silent;
    struct {
        struct dns_question *listed, *clean; /* under way */
        bool failed, unanswered;
        usec next; /* monotonic */
    } test;
};

struct lists {
    uv_loop_t *loop;
    struct dns *dns;
    const struct wall_settings *set;
    struct arena *arena;
    struct zone *zones;
    size_t nzones;
    struct list_check *open;
};

/* ---- health.c ---- */

/* Looks at one answer for signs of trouble; false: it is not to be counted. */
bool zone_answer_sound(struct zone *z, const struct dns_answer *a);
void zone_break(struct zone *z, const char *why);
void zone_test(struct zone *z, usec now);
void zone_stop_test(struct zone *z);

#endif

/* Lists as settings hold them; their memory is the settings' arena. */
#ifndef GATEHOUSE_CONFIG_LISTS_H
#define GATEHOUSE_CONFIG_LISTS_H

#include "base/clock.h"
#include "base/ip.h"

struct strings {
    const char **v;
    size_t n;
};

struct cidrs {
    struct cidr *v;
    size_t n;
};

struct usecs {
    usec *v;
    size_t n;
};

/* "> 5", ">= 5", "< 10MiB", "<= 10", "= 5", "5..10" (both ends belong to it). */
struct range {
    bool given;
    double from, to;   /* -INFINITY, INFINITY: open */
    bool above, below; /* from (to) itself does not belong to it */
};

static inline bool range_has(const struct range *r, double v)
{
    return (r->above ? v > r->from : v >= r->from) && (r->below ? v < r->to : v <= r->to);
}

#endif

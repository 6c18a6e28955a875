/* The forms of Received lines that programs write, in the order in which they are tried (semantics
 * 6.7). Room-private; data in received_templates.c. */
#ifndef GATEHOUSE_RELAYS_RECEIVED_TEMPLATES_H
#define GATEHOUSE_RELAYS_RECEIVED_TEMPLATES_H

#include "relays/relays_private.h"

enum received_mark {
    LOOKS_UP = 1 << 0,        /* the program asks the DNS: an empty name means there is none */
    UNKNOWN_IS_NONE = 1 << 1, /* it writes "unknown" for no name */
    UNVERIFIED_IS_NONE = 1 << 2,
    SOFTDNSERR = 1 << 3, /* it writes that when the DNS did not answer */
    LOOKS_UP_UNLESS_UNKNOWN = 1 << 4,
    IDENT_IN_RDNS = 1 << 5, /* ident@name */
    HELO_IS_RDNS = 1 << 6,  /* HELO is left out when it equals the name */
    NO_ID = 1 << 7,         /* what looks like an id is a version */
    COMMENT = 1 << 8,       /* helo= and ident= stand in the comment stored under s */
    RESETS_IDENT = 1 << 9,
    RESETS_HELO = 1 << 10,
    ANYWHERE = 1 << 11 /* not only at the start of the line */
};

enum received_special {
    SPECIAL_NONE,
    SPECIAL_EXIM_BITS,
    SPECIAL_QMAIL,
    SPECIAL_HOTMAIL,
    SPECIAL_XMAIL,
    SPECIAL_SCANNER
};

struct received_template {
    const char *template; /* NULL ends a list */
    unsigned marks;
    enum received_result result;
    const char *guard;  /* must be found first */
    const char *unless; /* must not be found */
    enum received_special special;
};

struct received_family {
    const char *sign; /* NULL ends the list */
    const struct received_template *templates;
};

extern const struct received_template received_webmail[], received_templates[], received_ignored[],
    received_qmail[], received_simta[], received_parenthesis[];
extern const struct received_family received_families[];

#endif

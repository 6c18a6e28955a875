/* The MTA's macros: values like {client_addr} and i (its queue id), sent before the command that
 * they belong to, even before commands that were declined.
 *
 * Lifetimes: those of connect and HELO last as long as the session, those of a recipient until the
 * next one, all others as long as the message. */
#ifndef GATEHOUSE_MILTER_MACROS_H
#define GATEHOUSE_MILTER_MACROS_H

#include "milter/packet.h"

enum {
    MILTER_MACROS_MAX = 64 * 1024, /* bytes for one stage */
    MILTER_STAGES = 8
};

struct milter_macros {
    struct buf stage[MILTER_STAGES]; /* name NUL value NUL ..., earliest stage first */
};

/* Takes the data of a macro packet. false: too much, or for no command there is. */
bool milter_macros_set(struct milter_macros *m, struct span data);
/* name without braces. The latest stage counts; absent when it was not sent. */
struct span milter_macros_get(const struct milter_macros *m, const char *name);
/* The message is over. */
void milter_macros_end_message(struct milter_macros *m);
/* The session is over. */
void milter_macros_free(struct milter_macros *m);

#endif

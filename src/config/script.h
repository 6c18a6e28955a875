/* The settings of scripts. They stand apart from struct settings: few rooms need them. */
#ifndef GATEHOUSE_CONFIG_SCRIPT_H
#define GATEHOUSE_CONFIG_SCRIPT_H

#include "config/settings.h"

struct script_settings {
    const char *file;      /* policy.lua; NULL: none */
    uint64_t instructions; /* of the Lua machine, for one message */
    uint64_t memory;       /* bytes of one Lua machine */
    usec tick;             /* between two calls of tick() */
    usec timeout;          /* of a question at a command */
    enum on_fail on_error;
};

/* As the file says, or the defaults; in the settings' arena. */
struct script_settings *settings_script(const struct settings *s);

/* What a script wants done with one message: for all, NULL: nothing; and for each recipient, NULL:
 * nothing about any. */
struct wishes {
    const struct policy *all;
    const struct policy **each;
};

#endif

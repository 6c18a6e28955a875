/* What the files that check how settings fit together share. Room-private. */
#ifndef GATEHOUSE_CONFIG_CHECK_PRIVATE_H
#define GATEHOUSE_CONFIG_CHECK_PRIVATE_H

#include "config/load_private.h"

struct checker {
    const struct settings *s;
    struct settings_problems *out;
};

/* A problem of the setting `name`. */
#define AT(c, text, ...)                                                                           \
    problem_at((c)->out, (c)->s->file, mark_of((c)->s, __VA_ARGS__), "%s", (text))

const char *say(struct checker *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Letters, digits, '-', '_' and '.', at most 64. */
bool word_ok(const char *s);

/* HOST:PORT, where HOST is a name, an address, or "[address]". */
bool server_ok(struct span s);

/* check_digests.c */
void check_digests(struct checker *c);
/* policy_check.c */
void check_policies(struct checker *c);

#endif

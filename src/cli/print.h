/* What several commands print in the same way. Text from messages goes to a terminal through here
 * alone: control characters and broken UTF-8 are made visible instead of being obeyed. */
#ifndef GATEHOUSE_CLI_PRINT_H
#define GATEHOUSE_CLI_PRINT_H

#include "base/clock.h"
#include "base/span.h"

#include <jansson.h>
#include <stdio.h>

/* At most `max` bytes of s (SIZE_MAX: all), "..." in place of what is cut. */
void print_text(FILE *out, struct span s, size_t max);
/* JSON text: what is not UTF-8 becomes U+FFFD. JSON null when absent. */
json_t *json_of(struct span s);
json_t *json_time(usec t);
/* One object a line; takes the reference. */
void print_json(FILE *out, json_t *o);

/* One "field=value" argument looked up in a table; times (is_time) are clock_parse'd. Returns NULL,
 * or what is wrong, for cli_usage. */
struct field_option {
    const char *name;
    struct span *text; /* one of the two */
    usec *time;
};
const char *take_field(const struct field_option *options, size_t n, const char *arg, char *why,
                       size_t why_size);

/* Who acts, for the books: "anna (sudo)", "root". */
const char *operator_name(char *out, size_t n);

#endif

#include "cli/cli.h"

#include <stdio.h>
#include <unistd.h>

#define DEFAULT_FILE "/etc/gatehouse/gatehouse.yaml"

struct settings *cli_settings(const char *file)
{
    struct settings_problems problems = {0};
    if (!file && access(DEFAULT_FILE, F_OK) == 0)
        file = DEFAULT_FILE;
    struct settings *s = settings_load_all(file, &problems);
    for (size_t i = 0; i < problems.n; i++)
        fprintf(stderr, "gatehouse: %s\n", problems.v[i].text);
    settings_problems_free(&problems);
    return s;
}

int cli_usage(const struct command *c, const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "gatehouse %s: ", c->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n'gatehouse %s --help' tells how it is used\n", c->name);
    return EXIT_USAGE;
}

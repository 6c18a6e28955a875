#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define DEFAULT_FILE "/etc/gatehouse/gatehouse.yaml"

const char *cli_settings_file(const char *given)
{
    if (given)
        return given;
    return access(DEFAULT_FILE, F_OK) == 0 ? DEFAULT_FILE : NULL;
}

struct settings *cli_settings(const char *file)
{
    struct settings_problems problems = {0};
    struct settings *s = settings_load_all(cli_settings_file(file), &problems);
    for (size_t i = 0; i < problems.n; i++)
        fprintf(stderr, "gatehouse: %s\n", problems.v[i].text);
    settings_problems_free(&problems);
    return s;
}

int cli_usage(const char *name, const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "gatehouse %s: ", name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return cli_wrong_option(name);
}

int cli_wrong_option(const char *name)
{
    fprintf(stderr, "'gatehouse %s --help' tells how it is used\n", name);
    return EXIT_USAGE;
}

const char *cli_remedy(const struct err *e)
{
    switch (e->sys) {
    case ENOENT:
        return " (has the gateway run yet? -c FILE names its settings)";
    case ECONNREFUSED:
        return " (no gateway runs; 'gatehouse serve' starts it)";
    case EACCES:
    case EPERM:
        return " (root may, and the user the gateway runs as)";
    default:
        return "";
    }
}

const char *cli_virus_socket(const struct settings *s)
{
    struct span path = arena_printf(s->arena, "%s/virus.sock", s->paths.run);
    if (!s->virus.embedded || access(path.p, F_OK) != 0)
        return NULL;
    return arena_printf(s->arena, "unix:%s", path.p).p;
}

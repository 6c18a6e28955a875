#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static void help(FILE *out)
{
    fputs("gatehouse: the gate every message passes before it reaches a mailbox\n\n"
          "usage: gatehouse COMMAND [options]\n\n",
          out);
    for (const struct command *c = commands; c->name; c++)
        fprintf(out, "  %-11s %s\n", c->name, c->summary);
    fputs("\n'gatehouse COMMAND --help' tells more, with an example.\n", out);
}

static const struct command *find(const char *name)
{
    for (const struct command *c = commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help(stdout);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("gatehouse " GATEHOUSE_VERSION);
        return EXIT_OK;
    }
    const struct command *c = find(argv[1]);
    if (!c) {
        fprintf(stderr, "gatehouse: no command '%s'; 'gatehouse --help' lists them\n", argv[1]);
        return EXIT_USAGE;
    }
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(c->help, stdout);
            return EXIT_OK;
        }
    }
    char name[64]; /* what getopt_long calls us in its messages */
    snprintf(name, sizeof name, "gatehouse %s", c->name);
    argv[1] = name;
    return c->run(argc - 1, argv + 1);
}

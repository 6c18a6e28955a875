#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "supervisor/supervisor.h"

static const char *profile_name(enum profile p)
{
    return p == PROFILE_MX ? "mx" : p == PROFILE_SUBMISSION ? "submission" : "relay";
}

/* For the person at the terminal: where it listens and what to do next. */
static void greet(const struct settings *set)
{
    for (size_t i = 0; i < set->listeners.n; i++)
        printf("gatehouse: %s on %s (%s)\n", set->listeners.v[i].name, set->listeners.v[i].address,
               profile_name(set->listeners.v[i].profile));
    if (set->relay.domains.n && set->listeners.n) {
        const char *address = set->listeners.v[0].address;
        const char *colon = strrchr(address, ':');
        printf("\nsend a test message:\n  printf 'Subject: hello\\n\\nfirst light\\n' | curl -sS "
               "--crlf smtp://%.*s:%s --mail-from you@example.net --mail-rcpt postmaster@%s -T -\n"
               "then:\n  %s log -c %s\n\n",
               (int)(colon - address), address, colon + 1, set->relay.domains.v[0],
               program_invocation_name, set->file ? set->file : "FILE");
    }
    fflush(stdout);
}

/* What settings name is looked at before anything is bound or forked. */
static bool files_are_there(struct settings *set)
{
    struct settings_problems problems = {0};
    size_t n = settings_check_files(set, &problems);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "gatehouse: %s\n", problems.v[i].text);
    settings_problems_free(&problems);
    if (n)
        settings_free(set);
    return n == 0;
}

int cmd_serve(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {0},
    };
    const char *config = NULL;
    int o;
    optind = 1;
    while ((o = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (o != 'c')
            return cli_wrong_option("serve");
        config = optarg;
    }
    if (optind < argc)
        return cli_usage("serve", "unexpected '%s'", argv[optind]);
    struct settings *set = cli_settings(config);
    if (!set || !files_are_there(set))
        return EXIT_CONFIG;
    const char *file = config ? config : set->file;
    return supervisor_run(set, file, greet);
}

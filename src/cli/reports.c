#include "cli/reports.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

enum { DAYS_DEFAULT = 7, DAYS_MAX = 3660, LIMIT_DEFAULT = 50 };

#define REPORT_OPTIONS                                                                             \
    "  --day DAY        2026-11-21, yesterday (default); with --dry-run and --to also today "      \
    "(UTC)\n"                                                                                      \
    "  --domain DOMAIN  this one alone (show, list: and all below it)\n"                           \
    "  --dry-run        tell what would be sent where, and what not, and why\n"                    \
    "  --again          also what was sent already\n"                                              \
    "  --to PATH        write files instead: into a directory (packed, under their names), or "    \
    "one\n"                                                                                        \
    "                   report as text into a file; - is standard output\n"

#define SHOW_OPTIONS                                                                               \
    "  --days N         of the last N days (default: 7)\n"                                         \
    "  --ours           what this gateway saw, not what others reported\n"                         \
    "  --limit N        the N largest sources (default: 50; 0: all)\n"                             \
    "  --format json    one object a line (or --json)\n"

#define EXIT_CODES                                                                                 \
    "exit status: 0, 1 nothing was found or a report can't be read, 64 usage, 75 no gateway "      \
    "runs, "                                                                                       \
    "or\n"                                                                                         \
    "the store can't be read\n"

const char cmd_dmarc_help[] =
    "usage: gatehouse dmarc [-c FILE] report [--day DAY] [--domain D] [--dry-run] [--to PATH]\n"
    "       gatehouse dmarc [-c FILE] show|list [--domain D] [--days N] [--ours] [--format json]\n"
    "       gatehouse dmarc [-c FILE] import FILE...\n"
    "\n"
    "DMARC aggregate reports. report sends those of a day now (the running gateway does so by "
    "itself\n"
    "with reports.dmarc). import reads reports of others: mails, XML, gzip, zip; the gateway "
    "reads\n"
    "those that come to reports.inbox. show counts what they tell by source address, list names\n"
    "the reports.\n"
    "\n" REPORT_OPTIONS SHOW_OPTIONS "\n" EXIT_CODES "\n"
    "example: gatehouse dmarc show --domain example.org --days 30\n";

const char cmd_tlsrpt_help[] =
    "usage: gatehouse tlsrpt [-c FILE] report [--day DAY] [--domain D] [--dry-run] [--to PATH]\n"
    "       gatehouse tlsrpt [-c FILE] show|list [--domain D] [--days N] [--ours] [--format json]\n"
    "       gatehouse tlsrpt [-c FILE] import FILE...\n"
    "\n"
    "Reports about TLS between mail servers (RFC 8460). report sends those of a day now (the "
    "running\n"
    "gateway does so by itself with reports.tls). import reads reports of others: mails, JSON, "
    "gzip,\n"
    "zip; the gateway reads those that come to reports.inbox. show tells how TLS went by domain\n"
    "and policy, and what failed; list names the reports.\n"
    "\n" REPORT_OPTIONS SHOW_OPTIONS "\n" EXIT_CODES "\n"
    "example: gatehouse tlsrpt show --ours --days 1\n";

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'},
    {"format", required_argument, NULL, 'f'}, {"day", required_argument, NULL, 'd'},
    {"domain", required_argument, NULL, 'D'}, {"dry-run", no_argument, NULL, 'n'},
    {"again", no_argument, NULL, 'a'},        {"to", required_argument, NULL, 't'},
    {"ours", no_argument, NULL, 'o'},         {"days", required_argument, NULL, 'N'},
    {"limit", required_argument, NULL, 'l'},  {0},
};

struct report_store *reports_open(const struct reports_query *q)
{
    struct err e;
    struct report_store *s = report_store_open_read(q->set->paths.state, &e);
    if (!s)
        fprintf(stderr, "gatehouse %s: %s%s\n", q->command, e.text, cli_remedy(&e));
    return s;
}

static int take_number(const struct reports_query *q, const char *name, uint64_t most,
                       uint64_t *out)
{
    return span_u64(span_str(optarg), out) && *out <= most
               ? 0
               : cli_usage(q->command, "%s is a number up to %llu", name, (unsigned long long)most);
}

static int take_option(struct reports_query *q, int c)
{
    switch (c) {
    case 'c':
        q->config = optarg;
        return 0;
    case 'j':
        q->json = true;
        return 0;
    case 'f':
        q->json = strcmp(optarg, "json") == 0;
        return q->json || strcmp(optarg, "text") == 0
                   ? 0
                   : cli_usage(q->command, "--format is text or json");
    case 'd':
        q->day = optarg;
        return 0;
    case 'D':
        q->domain = optarg;
        return 0;
    case 'n':
        q->dry = true;
        return 0;
    case 'a':
        q->again = true;
        return 0;
    case 't':
        q->to = optarg;
        return 0;
    case 'o':
        q->ours = true;
        return 0;
    case 'N':
        return take_number(q, "--days", DAYS_MAX, &q->days);
    case 'l':
        return take_number(q, "--limit", UINT32_MAX, &q->limit);
    default:
        return cli_wrong_option(q->command);
    }
}

static int send_or_write(const struct reports_query *q)
{
    return q->to ? reports_write(q) : reports_send(q);
}

static int (*verb_of(const char *name))(const struct reports_query *)
{
    static const struct {
        const char *name;
        int (*run)(const struct reports_query *q);
    } verbs[] = {{"report", send_or_write},
                 {"show", reports_show},
                 {"list", reports_list},
                 {"import", reports_import}};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(name, verbs[i].name) == 0)
            return verbs[i].run;
    return NULL;
}

static int run(struct reports_query *q, int argc, char **argv)
{
    int c, result = 0;
    optind = 1;
    while (result == 0 && (c = getopt_long(argc, argv, "c:", options, NULL)) != -1)
        result = take_option(q, c);
    if (result)
        return result;
    const char *name = optind < argc ? argv[optind] : "";
    int (*verb)(const struct reports_query *) = verb_of(name);
    q->files = argv + optind + 1;
    if (!verb)
        return cli_usage(q->command, "say report, show, list or import");
    if (verb == reports_import ? !q->files[0] : q->files[0] != NULL)
        return cli_usage(
            q->command,
            verb == reports_import ? "import which files?" : "'%s' takes no further words", name);
    struct settings *set = cli_settings(q->config);
    if (!set)
        return EXIT_CONFIG;
    q->set = set;
    result = verb(q);
    settings_free(set);
    return fflush(stdout) == 0 ? result : EXIT_TEMPFAIL;
}

int cmd_dmarc(int argc, char **argv)
{
    struct reports_query q = {
        .kind = REPORTS_DMARC, .command = "dmarc", .days = DAYS_DEFAULT, .limit = LIMIT_DEFAULT};
    return run(&q, argc, argv);
}

int cmd_tlsrpt(int argc, char **argv)
{
    struct reports_query q = {
        .kind = REPORTS_TLS, .command = "tlsrpt", .days = DAYS_DEFAULT, .limit = LIMIT_DEFAULT};
    return run(&q, argc, argv);
}

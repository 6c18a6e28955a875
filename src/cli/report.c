/* `gatehouse report`: tells others that messages are spam. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/spamcop.h"
#include "digests/digests.h"

const char cmd_report_help[] =
    "usage: gatehouse report [-c FILE] [--pyzor] [--razor] [--dcc] [--spamcop] [--ham] "
    "[--dry-run]\n"
    "                        [--json] FILE...\n"
    "\n"
    "Tells services that a message is spam: Pyzor, Razor and DCC count its digests, SpamCop gets\n"
    "the message by mail and writes to those whose hosts sent it. Which ones and where they are\n"
    "stands in the settings (pyzor, razor, dcc, spamcop); without options all that are configured\n"
    "are told, but SpamCop only when it is asked for. FILE: one message as it came in, with its\n"
    "Received fields; -: standard input.\n"
    "\n"
    "  --ham       the message is wanted: Pyzor's welcome count (others take no such report)\n"
    "  --dry-run   tell nobody; print the digest and what would be sent\n"
    "  --json      one JSON object a line\n"
    "\n"
    "exit status: 0 all took the report, 1 some did not, 64 usage, 66 a file can't be read,\n"
    "78 settings can't be used\n"
    "\n"
    "example: gatehouse report --pyzor --spamcop --dry-run spam.eml\n";

enum { SPAMCOP = 8 };

struct reporting {
    const struct settings *set;
    const char *config, *file;
    unsigned services;
    bool json, ham, dry, over;
    int result;
    uv_loop_t loop;
    struct dns *dns;
    struct digests *digests;
};

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"pyzor", no_argument, NULL, 'p'},
    {"razor", no_argument, NULL, 'r'},
    {"dcc", no_argument, NULL, 'd'},
    {"spamcop", no_argument, NULL, 's'},
    {"ham", no_argument, NULL, 'h'},
    {"dry-run", no_argument, NULL, 'n'},
    {"json", no_argument, NULL, 'j'},
    {0},
};

/* --- what is printed --- */

static void told(void *ctx, const char *service, const char *server, const char *why)
{
    struct reporting *r = ctx;
    if (why)
        r->result = EXIT_BAD;
    if (!r->json) {
        printf("%s: %s %s: %s%s\n", r->file, service, server, why ? "failed: " : "reported",
               why ? why : "");
        return;
    }
    struct buf b = {0};
    json_open(&b, NULL, '{');
    json_text(&b, "file", span_str(r->file));
    json_text(&b, "service", span_str(service));
    json_text(&b, "server", span_str(server));
    json_flag(&b, "reported", !why);
    if (why)
        json_text(&b, "why", span_str(why));
    json_close(&b, '{');
    printf("%.*s\n", SPAN_ARG(buf_span(&b)));
    buf_free(&b);
}

static void done(void *ctx)
{
    ((struct reporting *)ctx)->over = true;
}

static void would_tell(const struct reporting *r, const char *service, const char *server,
                       const char *what)
{
    if (r->json) {
        struct buf b = {0};
        json_open(&b, NULL, '{');
        json_text(&b, "file", span_str(r->file));
        json_text(&b, "service", span_str(service));
        json_text(&b, "server", span_str(server));
        json_text(&b, "would_send", span_str(what));
        json_close(&b, '{');
        printf("%.*s\n", SPAN_ARG(buf_span(&b)));
        buf_free(&b);
    } else {
        printf("%s: %s %s: %s\n", r->file, service, server, what);
    }
}

static void dry_run(const struct reporting *r, const struct message *m)
{
    const struct settings *set = r->set;
    char digest[DIGEST_TEXT_SIZE];
    if (r->services & DIGEST_PYZOR) {
        digests_of_text(m->raw, digest);
        for (size_t i = 0; i < set->pyzor.servers.n; i++)
            would_tell(r, "pyzor", set->pyzor.servers.v[i], digest);
    }
    if (!r->ham && (r->services & DIGEST_DCC) && set->dcc.dccifd)
        would_tell(r, "dcc", set->dcc.dccifd, "the message");
    for (size_t i = 0; !r->ham && (r->services & DIGEST_RAZOR) && i < set->razor.reporting.n; i++)
        would_tell(r, "razor", set->razor.reporting.v[i], "signatures of its parts");
    if (!r->ham && (r->services & SPAMCOP)) {
        struct buf b = {0};
        spamcop_compose(set, m->arena, m->raw, clock_wall() / USEC_PER_SEC, &b);
        would_tell(r, "spamcop", set->spamcop.to, b.p);
        buf_free(&b);
    }
}

/* --- one message --- */

static void report_spamcop(struct reporting *r, const struct message *m)
{
    struct err e = {0};
    struct buf b = {0};
    int64_t now = clock_wall() / USEC_PER_SEC, received = spamcop_received(m->arena, m->raw);
    if (received && received < now - SPAMCOP_AGE_DAYS * 86400) {
        told(r, "spamcop", r->set->spamcop.to, "the message is older than two days");
        return;
    }
    spamcop_compose(r->set, m->arena, m->raw, now, &b);
    bool sent = spamcop_send(r->set, &r->loop, r->dns, m->arena, buf_span(&b), &e) == 0;
    told(r, "spamcop", r->set->spamcop.to, sent ? NULL : e.text);
    buf_free(&b);
}

static void report_message(struct reporting *r, struct message *m)
{
    const struct digests_report d = {
        .services = r->services, .wanted = r->ham, .told = told, .done = done, .ctx = r};
    if (r->dry) {
        dry_run(r, m);
        return;
    }
    r->over = false;
    digests_report(r->digests, m, &d);
    while (!r->over)
        uv_run(&r->loop, UV_RUN_ONCE);
    if (!r->ham && (r->services & SPAMCOP))
        report_spamcop(r, m);
}

/* Standard input may be a pipe: kept in memory, so that it can be mapped. */
static int input(const char *file)
{
    if (strcmp(file, "-") != 0)
        return open(file, O_RDONLY | O_CLOEXEC);
    char piece[65536];
    ssize_t n;
    int fd = memfd_create("report", MFD_CLOEXEC);
    while (fd >= 0 && (n = read(STDIN_FILENO, piece, sizeof piece)) > 0)
        if (write(fd, piece, (size_t)n) != n)
            break;
    return fd;
}

static void report_file(struct reporting *r, const char *file)
{
    struct message *m = message_new(0);
    int fd = input(file);
    r->file = file;
    if (fd < 0 || message_map(m, fd) != 0) {
        fprintf(stderr, "gatehouse report: %s: %s\n", file, strerror(errno));
        r->result = EXIT_NOINPUT;
    } else {
        report_message(r, m);
    }
    if (fd >= 0)
        close(fd);
    message_free(m);
}

/* --- the command --- */

static const char *not_configured(const struct reporting *r)
{
    const struct settings *s = r->set;
    if ((r->services & DIGEST_PYZOR) && !s->pyzor.servers.n)
        return "pyzor.servers";
    if ((r->services & DIGEST_RAZOR) && !s->razor.reporting.n)
        return "razor.reporting";
    return (r->services & DIGEST_DCC) && !s->dcc.dccifd ? "dcc.dccifd" : NULL;
}

static int run(struct reporting *r, int argc, char **argv)
{
    const char *missing = not_configured(r);
    if (missing) {
        fprintf(stderr, "gatehouse report: the settings name no server; set %s\n", missing);
        return EXIT_CONFIG;
    }
    if (!r->services)
        r->services = DIGEST_PYZOR | DIGEST_RAZOR | DIGEST_DCC;
    uv_loop_init(&r->loop);
    r->dns = dns_new(&r->loop, &r->set->dns);
    r->digests = digests_new(&r->loop, r->set, r->dns);
    for (int i = 0; i < argc; i++)
        report_file(r, argv[i]);
    digests_free(r->digests);
    dns_free(r->dns);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    uv_loop_close(&r->loop);
    return r->result;
}

int cmd_report(int argc, char **argv)
{
    struct reporting r = {0};
    int c;
    optind = 1;
    while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            r.config = optarg;
            break;
        case 'p':
            r.services |= DIGEST_PYZOR;
            break;
        case 'r':
            r.services |= DIGEST_RAZOR;
            break;
        case 'd':
            r.services |= DIGEST_DCC;
            break;
        case 's':
            r.services |= SPAMCOP;
            break;
        case 'h':
            r.ham = true;
            break;
        case 'n':
            r.dry = true;
            break;
        case 'j':
            r.json = true;
            break;
        default:
            return cli_wrong_option("report");
        }
    }
    if (optind == argc)
        return cli_usage("report", "name the files to report");
    struct settings *set = cli_settings(r.config);
    if (!set)
        return EXIT_CONFIG;
    r.set = set;
    int result = run(&r, argc - optind, argv + optind);
    settings_free(set);
    return result;
}

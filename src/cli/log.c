#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/xalloc.h"
#include "cli/print.h"
#include "cli/story.h"

enum { LINES_DEFAULT = 100, FOLLOW_DEFAULT = 10, SUBJECT_MAX = 80, POLL_MS = 300 };

const char cmd_log_help[] =
    "usage: gatehouse log [-c FILE] [-f] [-n N] [--json] [field=value ...]\n"
    "       gatehouse log [-c FILE] [--json] ID...\n"
    "\n"
    "What happened to which message: one line each, the newest last; or, for an ID, the whole "
    "story:\n"
    "what was decided and why, what the checks said, where it went.\n"
    "\n"
    "  -f, --follow      go on with new messages as they come\n"
    "  -n, --lines N     the newest N (default: 100, with -f 10; 0: all)\n"
    "  --json            one JSON object a line\n"
    "\n"
    "Fields, all of which must fit:\n"
    "  sender=, recipient=   an address, @domain, .domain (and below it), or a glob with * and ?\n"
    "  outcome=              accept, tag, clean, hold, reject, defer, discard, queued\n"
    "  rule=                 the name of a rule that hit\n"
    "  virus=                a signature or glob; virus=* for any\n"
    "  subject=              text in the subject\n"
    "  peer=                 the client's address or network\n"
    "  since=, until=        2026-11-22, 2026-11-22T07:30, or an age: 2h, 3d\n"
    "\n"
    "example: gatehouse log recipient=@example.org outcome=reject since=1d\n";

struct query {
    const char *config;
    bool follow, json;
    long lines; /* -1: not given */
    struct record_filter filter;
    struct span *ids;
    size_t nids;
};

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"follow", no_argument, NULL, 'f'},
    {"lines", required_argument, NULL, 'n'},
    {"json", no_argument, NULL, 'j'},
    {0},
};

static int take_argument(struct query *q, const char *arg)
{
    struct record_filter *f = &q->filter;
    const struct field_option fields[] = {
        {"sender", &f->sender, NULL},   {"recipient", &f->recipient, NULL},
        {"outcome", &f->outcome, NULL}, {"rule", &f->rule, NULL},
        {"virus", &f->virus, NULL},     {"subject", &f->subject, NULL},
        {"peer", &f->peer, NULL},       {"since", NULL, &f->from},
        {"until", NULL, &f->to},        {"id", &f->id, NULL},
    };
    if (id_valid(span_str(arg))) {
        q->ids[q->nids++] = span_str(arg);
        return 0;
    }
    char why[400];
    const char *wrong = take_field(fields, sizeof fields / sizeof *fields, arg, why, sizeof why);
    return wrong ? cli_usage("log", "%s", wrong) : 0;
}

static int parse(struct query *q, int argc, char **argv)
{
    int c;
    uint64_t lines;
    optind = 1;
    while ((c = getopt_long(argc, argv, "c:fn:", options, NULL)) != -1) {
        if (c == 'c')
            q->config = optarg;
        else if (c == 'f')
            q->follow = true;
        else if (c == 'j')
            q->json = true;
        else if (c != 'n')
            return cli_wrong_option("log");
        else if (span_u64(span_str(optarg), &lines) && lines < 1000000000)
            q->lines = (long)lines;
        else
            return cli_usage("log", "-n %s: expected a number", optarg);
    }
    q->ids = xcalloc((size_t)argc, sizeof *q->ids);
    for (int i = optind; i < argc; i++)
        if (take_argument(q, argv[i]))
            return EXIT_USAGE;
    if (q->nids && q->follow)
        return cli_usage("log", "-f follows the list, not one message");
    return 0;
}

/* --- the list --- */

struct list {
    bool json;
    int64_t last;
    size_t n;
};

static void row_json(const struct record_row *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "id", json_string(r->id));
    json_object_set_new(o, "time", json_time(r->received));
    json_object_set_new(o, "outcome", json_of(r->outcomes));
    json_object_set_new(o, "score", json_real(r->score));
    json_object_set_new(o, "required", json_real(r->required));
    json_object_set_new(o, "virus", json_of(r->virus));
    json_object_set_new(o, "sender", json_of(r->sender));
    json_t *to = json_array();
    for (size_t i = 0; i < r->nrcpts; i++)
        json_array_append_new(to, json_of(r->rcpts[i]));
    json_object_set_new(o, "recipients", to);
    json_object_set_new(o, "peer", json_of(r->peer_ip));
    json_object_set_new(o, "peer_name", json_of(r->peer_name));
    json_object_set_new(o, "helo", json_of(r->helo));
    json_object_set_new(o, "listener", json_of(r->listener));
    json_object_set_new(o, "user", json_of(r->auth_user));
    json_object_set_new(o, "size", json_integer((json_int_t)r->size));
    json_object_set_new(o, "micros", json_integer((json_int_t)r->micros));
    json_object_set_new(o, "subject", json_of(r->subject));
    json_object_set_new(o, "header_from", json_of(r->header_from));
    json_object_set_new(o, "message_id", json_of(r->message_id));
    print_json(stdout, o);
}

static void row_text(const struct record_row *r)
{
    char when[CLOCK_ISO_SIZE];
    printf("%s %s %-7.*s %6.1f  <", clock_iso(r->received, when), r->id, SPAN_ARG(r->outcomes),
           r->score);
    print_text(stdout, r->sender, SIZE_MAX);
    fputs("> to <", stdout);
    if (r->nrcpts)
        print_text(stdout, r->rcpts[0], SIZE_MAX);
    fputs(">", stdout);
    if (r->nrcpts > 1)
        printf(" and %zu more", r->nrcpts - 1);
    if (r->peer_ip.p)
        printf(" [%.*s]", SPAN_ARG(r->peer_ip));
    if (r->virus.p) {
        fputs(" virus ", stdout);
        print_text(stdout, r->virus, SUBJECT_MAX);
    }
    if (r->subject.n) {
        fputs(" \"", stdout);
        print_text(stdout, r->subject, SUBJECT_MAX);
        fputs("\"", stdout);
    }
    putchar('\n');
}

static bool show_row(void *ctx, const struct record_row *row)
{
    struct list *l = ctx;
    if (row->serial > l->last)
        l->last = row->serial;
    l->n++;
    if (l->json)
        row_json(row);
    else
        row_text(row);
    return !ferror(stdout);
}

static struct record_reader *open_reader(const char *state, struct err *e)
{
    struct record_reader *r = record_read_open(state, e);
    if (!r)
        fprintf(stderr, "gatehouse log: %s%s\n", e->text, cli_remedy(e));
    return r;
}

/* The database may be exchanged for a new one while we look (store/db.h). */
static bool same_file(const char *path, struct stat *seen)
{
    struct stat st;
    if (stat(path, &st) || (st.st_dev == seen->st_dev && st.st_ino == seen->st_ino))
        return true;
    *seen = st;
    return false;
}

static int follow(struct record_reader *r, struct query *q, struct list *l, const char *state)
{
    struct err e = {0};
    struct stat seen = {0};
    char *path = xasprintf("%s/record.db", state);
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    int result = 0;
    same_file(path, &seen);
    q->filter.limit = 0;
    while (result == 0 && r && fflush(stdout) == 0) {
        nanosleep(&pause, NULL);
        if (!same_file(path, &seen)) {
            record_read_close(r);
            l->last = 0;
            r = open_reader(state, &e);
            result = r ? 0 : -1;
            continue;
        }
        q->filter.after = l->last ? l->last : -1;
        result = record_read_list(r, &q->filter, show_row, l, &e);
    }
    if (result && r)
        fprintf(stderr, "gatehouse log: %s\n", e.text);
    record_read_close(r);
    free(path);
    return result ? EXIT_TEMPFAIL : EXIT_OK;
}

static int list(struct query *q, const char *state)
{
    struct err e = {0};
    struct record_reader *r = open_reader(state, &e);
    struct list l = {.json = q->json};
    if (!r)
        return EXIT_TEMPFAIL;
    bool bounded = q->lines < 0;
    q->filter.limit = bounded ? q->follow ? FOLLOW_DEFAULT : LINES_DEFAULT : (size_t)q->lines;
    int result = record_read_list(r, &q->filter, show_row, &l, &e);
    if (result == 0 && q->follow)
        return follow(r, q, &l, state);
    if (result)
        fprintf(stderr, "gatehouse log: %s\n", e.text);
    else if (bounded && l.n == LINES_DEFAULT)
        fprintf(stderr, "gatehouse log: these are the newest %zu; -n 0 shows all\n", l.n);
    record_read_close(r);
    return result ? EXIT_TEMPFAIL : EXIT_OK;
}

static int stories(const struct query *q, const char *state)
{
    struct err e = {0};
    struct record_reader *r = open_reader(state, &e);
    int result = r ? EXIT_OK : EXIT_TEMPFAIL;
    for (size_t i = 0; r && i < q->nids; i++) {
        struct arena *a = arena_new(0);
        struct record_told told;
        if (record_read_one(r, q->ids[i], a, &told, &e)) {
            fprintf(stderr, "gatehouse log: %s\n", e.text);
            result = EXIT_BAD;
        } else if (q->json) {
            story_json(stdout, &told);
        } else {
            story_print(stdout, &told);
        }
        arena_free(a);
    }
    record_read_close(r);
    return result;
}

int cmd_log(int argc, char **argv)
{
    struct query q = {.lines = -1};
    struct settings *s = NULL;
    int result = parse(&q, argc, argv);
    if (result == 0 && !(s = cli_settings(q.config)))
        result = EXIT_CONFIG;
    if (result == 0)
        result = q.nids ? stories(&q, s->paths.state) : list(&q, s->paths.state);
    if (fflush(stdout) && result == EXIT_OK)
        result = EXIT_TEMPFAIL;
    settings_free(s);
    free(q.ids);
    return result;
}

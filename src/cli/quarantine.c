#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "cli/print.h"
#include "quarantine/quarantine.h"

enum { SUBJECT_MAX = 80, LINES_DEFAULT = 100 };

const char cmd_quarantine_help[] =
    "usage: gatehouse quarantine [-c FILE] [--json] list [--all] [-n N] [field=value ...]\n"
    "       gatehouse quarantine [-c FILE] [--json] show [--message] ID...\n"
    "       gatehouse quarantine [-c FILE] release [--to ADDRESS]... ID...\n"
    "       gatehouse quarantine [-c FILE] delete ID...\n"
    "\n"
    "Mail that is held. release delivers it as it came, with its envelope, to all recipients that\n"
    "still wait or to those named; each gets it once. delete removes its bytes. Both are noted "
    "with\n"
    "the time and your name. release needs a running gateway.\n"
    "\n"
    "  --all             also what was released or deleted\n"
    "  -n, --lines N     the newest N (default: 100; 0: all)\n"
    "  --message         the message itself, byte for byte\n"
    "  --to ADDRESS      release to this recipient only; may be repeated\n"
    "  --json            one JSON object a line\n"
    "\n"
    "Fields of list, all of which must fit:\n"
    "  sender=, recipient=   an address, @domain, .domain (and below it), or a glob with * and ?\n"
    "  reason=, policy=      as `show` tells them: reason=spam, reason=virus\n"
    "  text=                 in Subject or From\n"
    "  since=, until=        2026-11-22, 2026-11-22T07:30, or an age: 2h, 3d\n"
    "\n"
    "example: gatehouse quarantine list recipient=bob@example.org since=1d\n";

struct query {
    const char *config;
    bool json, all, message;
    size_t lines;
    bool lines_given;
    struct span *to;
    size_t nto;
    struct quarantine_filter filter;
    char **ids;
    const char *state;
    const struct settings *set;
};

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, 'j'},
    {"all", no_argument, NULL, 'a'},
    {"lines", required_argument, NULL, 'n'},
    {"message", no_argument, NULL, 'm'},
    {"to", required_argument, NULL, 't'},
    {0},
};

static int complain(const struct err *e, int code)
{
    fprintf(stderr, "gatehouse quarantine: %s%s\n", e->text,
            code == EXIT_TEMPFAIL ? cli_remedy(e) : "");
    return code;
}

/* --- list --- */

static json_t *rcpts_json(const struct quarantine_item *x)
{
    json_t *list = json_array();
    for (size_t i = 0; i < x->nrcpts; i++) {
        const struct quarantine_rcpt *r = &x->rcpts[i];
        json_t *o = json_object();
        json_object_set_new(o, "address", json_of(r->rcpt.addr));
        json_object_set_new(o, "state", json_string(quarantine_state_name(r->state)));
        json_object_set_new(o, "reason", json_of(r->reason));
        json_object_set_new(o, "detail", json_of(r->detail));
        json_object_set_new(o, "policy", json_of(r->policy));
        if (r->state != QUARANTINE_HELD) {
            json_object_set_new(o, "changed", json_time(r->changed));
            json_object_set_new(o, "by", json_of(r->by));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static void item_json(const struct quarantine_item *x)
{
    char ip[IP_TEXT_SIZE];
    json_t *o = json_object();
    json_object_set_new(o, "id", json_string(x->id));
    json_object_set_new(o, "received", json_time(x->received));
    json_object_set_new(o, "held", json_time(x->held));
    json_object_set_new(o, "expires", json_time(x->expires));
    json_object_set_new(o, "size", json_integer((json_int_t)x->size));
    json_object_set_new(o, "score", json_real(x->score));
    json_object_set_new(o, "virus", json_of(x->virus));
    json_object_set_new(o, "sender", json_of(x->env.from));
    json_object_set_new(o, "recipients", rcpts_json(x));
    json_object_set_new(o, "subject", json_of(x->subject));
    json_object_set_new(o, "header_from", json_of(x->header_from));
    json_object_set_new(o, "message_id", json_of(x->message_id));
    json_object_set_new(o, "peer",
                        x->peer.has_ip ? json_string(ip_text(&x->peer.ip, ip)) : json_null());
    json_object_set_new(o, "helo", json_of(x->peer.helo));
    print_json(stdout, o);
}

static void item_line(const struct quarantine_item *x)
{
    char when[CLOCK_ISO_SIZE];
    printf("%s %s %6.1f ", clock_iso(x->received, when), x->id, x->score);
    print_text(stdout, x->nrcpts ? x->rcpts[0].reason : SPAN(""), SUBJECT_MAX);
    fputs(" <", stdout);
    print_text(stdout, x->env.from, SIZE_MAX);
    fputs("> to", stdout);
    for (size_t i = 0; i < x->nrcpts; i++) {
        fputs(i ? ", <" : " <", stdout);
        print_text(stdout, x->rcpts[i].rcpt.addr, SIZE_MAX);
        fputc('>', stdout);
        if (x->rcpts[i].state != QUARANTINE_HELD)
            printf(" (%s)", quarantine_state_name(x->rcpts[i].state));
    }
    if (x->subject.n) {
        fputs(" \"", stdout);
        print_text(stdout, x->subject, SUBJECT_MAX);
        fputs("\"", stdout);
    }
    putchar('\n');
}

struct list {
    bool json;
    size_t n;
};

static bool show_row(void *ctx, const struct quarantine_item *x)
{
    struct list *l = ctx;
    l->n++;
    if (l->json)
        item_json(x);
    else
        item_line(x);
    return !ferror(stdout);
}

static int list(struct query *q, struct quarantine_reader *r)
{
    struct quarantine_filter *f = &q->filter;
    const struct field_option fields[] = {
        {"sender", &f->sender, NULL}, {"recipient", &f->recipient, NULL},
        {"reason", &f->reason, NULL}, {"policy", &f->policy, NULL},
        {"text", &f->text, NULL},     {"since", NULL, &f->from},
        {"until", NULL, &f->to},
    };
    struct list l = {.json = q->json};
    struct err e = {0};
    char why[400];
    for (char **arg = q->ids; *arg; arg++) {
        const char *wrong =
            take_field(fields, sizeof fields / sizeof *fields, *arg, why, sizeof why);
        if (wrong)
            return cli_usage("quarantine", "%s", wrong);
    }
    f->all = q->all;
    f->limit = q->lines_given ? q->lines : LINES_DEFAULT;
    if (quarantine_read_list(r, f, show_row, &l, &e))
        return complain(&e, EXIT_TEMPFAIL);
    if (!q->lines_given && l.n == LINES_DEFAULT)
        fprintf(stderr, "gatehouse quarantine: these are the newest %zu; -n 0 shows all\n", l.n);
    return EXIT_OK;
}

/* --- show --- */

static void row(const char *label, struct span text)
{
    if (!text.n)
        return;
    printf("  %-11s ", label);
    print_text(stdout, text, SIZE_MAX);
    putchar('\n');
}

static void item_text(const struct quarantine_item *x)
{
    char when[CLOCK_ISO_SIZE], ip[IP_TEXT_SIZE];
    printf("%s\n  %-11s %s, %llu bytes, score %.1f\n", x->id, "arrived",
           clock_iso(x->received, when), (unsigned long long)x->size, x->score);
    printf("  %-11s %s\n", "held until", clock_iso(x->expires, when));
    if (x->peer.has_ip)
        row("from host", span_str(ip_text(&x->peer.ip, ip)));
    row("sender", x->env.from.n ? x->env.from : SPAN("<>"));
    row("From:", x->header_from);
    row("Subject:", x->subject);
    row("Message-ID:", x->message_id);
    row("virus", x->virus);
    for (size_t i = 0; i < x->nrcpts; i++) {
        const struct quarantine_rcpt *r = &x->rcpts[i];
        fputs("  <", stdout);
        print_text(stdout, r->rcpt.addr, SIZE_MAX);
        printf("> %s: ", quarantine_state_name(r->state));
        print_text(stdout, r->reason, SIZE_MAX);
        if (r->detail.n) {
            fputs(" (", stdout);
            print_text(stdout, r->detail, SIZE_MAX);
            fputc(')', stdout);
        }
        if (r->state != QUARANTINE_HELD) {
            printf(", %s on %s by ", quarantine_state_name(r->state), clock_iso(r->changed, when));
            print_text(stdout, r->by, SIZE_MAX);
        }
        putchar('\n');
    }
}

static int copy_out(const char *id, int fd)
{
    static char chunk[65536];
    ssize_t n;
    if (fd < 0) {
        fprintf(stderr, "gatehouse quarantine: the bytes of %s were deleted\n", id);
        return EXIT_BAD;
    }
    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        if (fwrite(chunk, 1, (size_t)n, stdout) != (size_t)n)
            return EXIT_TEMPFAIL;
    return n < 0 ? EXIT_TEMPFAIL : EXIT_OK;
}

static int show(struct query *q, struct quarantine_reader *r)
{
    int result = EXIT_OK;
    for (char **id = q->ids; *id; id++) {
        struct arena *a = arena_new(0);
        struct quarantine_item x;
        struct err e = {0};
        int fd = -1;
        if (quarantine_read_item(r, span_str(*id), a, &x, q->message ? &fd : NULL, &e))
            result = complain(&e, EXIT_BAD);
        else if (q->message)
            result = copy_out(x.id, fd);
        else if (q->json)
            item_json(&x);
        else
            item_text(&x);
        if (fd >= 0)
            close(fd);
        arena_free(a);
    }
    return result;
}

static int read_only(struct query *q, int (*run)(struct query *, struct quarantine_reader *))
{
    struct err e = {0};
    struct quarantine_reader *r = quarantine_read_open(q->state, &e);
    int result = r ? run(q, r) : complain(&e, EXIT_TEMPFAIL);
    quarantine_read_close(r);
    return result;
}

static int cmd_list(struct query *q)
{
    return read_only(q, list);
}

static int cmd_show(struct query *q)
{
    return *q->ids ? read_only(q, show)
                   : cli_usage("quarantine", "show which message? Give its id");
}

/* --- release and delete --- */

static bool no_gateway(const struct err *e)
{
    return e->sys == ENOENT || e->sys == ECONNREFUSED;
}

static int ask(struct query *q, json_t *request, struct err *e)
{
    char who[100];
    json_object_set_new(request, "command", json_string("quarantine"));
    json_object_set_new(request, "by", json_string(operator_name(who, sizeof who)));
    char *text = json_dumps(request, JSON_COMPACT);
    if (!text) /* an argument that is not UTF-8 */
        return err_set(e, "not the id of a message");
    *e = (struct err){0};
    int result = cli_control(q->set, text, NULL, NULL, e);
    free(text);
    json_decref(request);
    return result;
}

static int cmd_release(struct query *q)
{
    int result = EXIT_OK;
    if (!*q->ids)
        return cli_usage("quarantine", "release which message? Give its id");
    for (char **id = q->ids; *id; id++) {
        struct err e;
        json_t *to = json_array();
        for (size_t i = 0; i < q->nto; i++)
            json_array_append_new(to, json_of(q->to[i]));
        json_t *request =
            json_pack("{s:s,s:s,s:o}", "action", "release", "id", *id, "recipients", to);
        if (ask(q, request, &e) == 0) {
            printf("%s released\n", *id);
        } else if (no_gateway(&e)) {
            fputs("gatehouse quarantine: no gateway runs, and only it can deliver: start it, then "
                  "release\n",
                  stderr);
            return EXIT_TEMPFAIL;
        } else {
            result = complain(&e, e.sys ? EXIT_TEMPFAIL : EXIT_BAD);
        }
    }
    return result;
}

/* No gateway runs: we are the only writer, and the lock makes sure of it. */
static int delete_here(struct query *q, const char *id, struct err *e)
{
    char who[100];
    struct quarantine *here = quarantine_open(q->state, q->set->quarantine.keep, e);
    if (!here)
        return -1;
    int result = quarantine_delete(here, span_str(id), span_str(operator_name(who, sizeof who)), e);
    quarantine_close(here);
    return result;
}

static int cmd_delete(struct query *q)
{
    int result = EXIT_OK;
    if (!*q->ids)
        return cli_usage("quarantine", "delete which message? Give its id");
    for (char **id = q->ids; *id; id++) {
        struct err e;
        json_t *request = json_pack("{s:s,s:[s]}", "action", "delete", "ids", *id);
        int failed = ask(q, request, &e);
        if (failed && no_gateway(&e))
            failed = delete_here(q, *id, &e);
        if (failed)
            result = complain(&e, e.sys ? EXIT_TEMPFAIL : EXIT_BAD);
        else
            printf("%s deleted\n", *id);
    }
    return result;
}

/* --- arguments --- */

static const struct {
    const char *name;
    int (*run)(struct query *q);
} actions[] = {
    {"list", cmd_list}, {"show", cmd_show}, {"release", cmd_release}, {"delete", cmd_delete}};

static int parse(struct query *q, int argc, char **argv)
{
    int c;
    uint64_t lines;
    optind = 1;
    q->to = xcalloc((size_t)argc, sizeof *q->to);
    while ((c = getopt_long(argc, argv, "c:n:", options, NULL)) != -1) {
        if (c == 'c')
            q->config = optarg;
        else if (c == 'j')
            q->json = true;
        else if (c == 'a')
            q->all = true;
        else if (c == 'm')
            q->message = true;
        else if (c == 't')
            q->to[q->nto++] = span_str(optarg);
        else if (c != 'n')
            return cli_wrong_option("quarantine");
        else if (!span_u64(span_str(optarg), &lines) || lines > 1000000000)
            return cli_usage("quarantine", "-n %s: expected a number", optarg);
        else {
            q->lines = (size_t)lines;
            q->lines_given = true;
        }
    }
    if (optind == argc)
        return cli_usage("quarantine", "say list, show, release or delete");
    q->ids = argv + optind + 1;
    return 0;
}

int cmd_quarantine(int argc, char **argv)
{
    struct query q = {0};
    int result = parse(&q, argc, argv);
    size_t i = 0, n = sizeof actions / sizeof *actions;
    if (result == 0) {
        while (i < n && strcmp(actions[i].name, argv[optind]) != 0)
            i++;
        if (i == n)
            result = cli_usage("quarantine", "unknown '%s': say list, show, release or delete",
                               argv[optind]);
    }
    struct settings *s = result == 0 ? cli_settings(q.config) : NULL;
    if (result == 0 && !s)
        result = EXIT_CONFIG;
    if (result == 0) {
        q.set = s;
        q.state = s->paths.state;
        result = actions[i].run(&q);
    }
    if (fflush(stdout) && result == EXIT_OK)
        result = EXIT_TEMPFAIL;
    settings_free(s);
    free(q.to);
    return result;
}

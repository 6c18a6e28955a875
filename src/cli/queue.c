/* gatehouse queue: asks the running gateway; when none runs, works on the journal itself. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "spool/listing.h"

enum { PIECE = 48 * 1024 };

const char cmd_queue_help[] =
    "usage: gatehouse queue [-c FILE] [--json] list [FILTER...]\n"
    "       gatehouse queue [-c FILE] [--json] show ID [--message]\n"
    "       gatehouse queue [-c FILE] [--json] retry|hold|release|delete ID...|FILTER...|--all\n"
    "\n"
    "Mail that was promised and waits for its next hop. retry tries now, also where the next hop "
    "was\n"
    "not to be reached; hold keeps mail from being tried until it is released; delete forgets it "
    "and\n"
    "tells nobody. Without a running gateway the commands work on the queue's files.\n"
    "\n"
    "  --message           show: the bytes of the message on standard output\n"
    "  --recipient PATTERN address, @domain, .domain (and below), or a glob with * and ?\n"
    "  --sender PATTERN    the same; <> is the null sender\n"
    "  --destination GLOB  as list --json tells it: 'smtp:[192.0.2.1]:25', 'mx:example.org'\n"
    "  --state STATE       waiting (all that is not held), deferred (tried before), active, held\n"
    "  --older AGE --younger AGE   in the queue: 30m, 2h, 3d\n"
    "  --all               retry, hold, release, delete: everything in the queue\n"
    "  --json              one object a line\n"
    "\n"
    "example: gatehouse queue retry --destination 'mx:example.org'\n";

struct options {
    const char *config, *action;
    json_t *filter;
    bool json, message, all;
    char **ids;
    int nids;
};

/* --- printing --- */

/* Text from outside on a terminal. */
static void print_clean(const char *s, int width)
{
    int n = 0;
    for (; s && *s; s++, n += ((unsigned char)*s & 0xc0) != 0x80)
        putchar((unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
    for (; n < width; n++)
        putchar(' ');
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static void print_age(json_int_t seconds)
{
    char text[32];
    if (seconds >= 2 * 86400)
        snprintf(text, sizeof text, "%lldd", (long long)(seconds / 86400));
    else if (seconds >= 2 * 3600)
        snprintf(text, sizeof text, "%lldh", (long long)(seconds / 3600));
    else if (seconds >= 120)
        snprintf(text, sizeof text, "%lldm", (long long)(seconds / 60));
    else
        snprintf(text, sizeof text, "%llds", (long long)seconds);
    printf("%5s", text);
}

static void print_head(void)
{
    printf("%-18s %5s %9s  %-9s %-20s %s\n", "ID", "AGE", "SIZE", "STATE", "NEXT TRY",
           "SENDER -> RECIPIENT");
}

static void print_message(const json_t *o)
{
    json_t *rcpts = json_object_get(o, "recipients");
    for (size_t i = 0; i < json_array_size(rcpts); i++) {
        const json_t *r = json_array_get(rcpts, i);
        print_clean(text_of(o, "id"), 18);
        putchar(' ');
        print_age(json_integer_value(json_object_get(o, "age")));
        printf(" %9lld  ", (long long)json_integer_value(json_object_get(o, "size")));
        print_clean(text_of(r, "state"), 10);
        printf("%.19s", text_of(r, "next"));
        printf("%*s", 21 - (int)strnlen(text_of(r, "next"), 19), "");
        putchar('<');
        print_clean(text_of(o, "from"), 0);
        fputs("> -> ", stdout);
        print_clean(text_of(r, "address"), 0);
        if (json_is_string(json_object_get(r, "reason"))) {
            printf("\n%*s", 36, "");
            print_clean(text_of(r, "reason"), 0);
        }
        putchar('\n');
    }
}

static void print_field(const json_t *o, const char *key, const char *title)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_string(v) || !*json_string_value(v))
        return;
    printf("%-12s ", title);
    print_clean(json_string_value(v), 0);
    putchar('\n');
}

static void print_recipient(const json_t *r)
{
    fputs("\nrecipient    ", stdout);
    print_clean(text_of(r, "address"), 0);
    printf("\n  state      %s, %lld tries\n", text_of(r, "state"),
           (long long)json_integer_value(json_object_get(r, "tries")));
    print_field(r, "destination", "  next hop");
    print_field(r, "last", "  last try");
    print_field(r, "next", "  next try");
    print_field(r, "reason", "  reason");
}

static void print_details(const json_t *o)
{
    const json_t *peer = json_object_get(o, "peer"), *rcpts = json_object_get(o, "recipients");
    json_t *flags = json_object_get(o, "flags");
    print_field(o, "id", "id");
    print_field(o, "created", "promised");
    printf("%-12s %lld bytes\n", "size", (long long)json_integer_value(json_object_get(o, "size")));
    printf("%-12s <", "sender");
    print_clean(text_of(o, "from"), 0);
    puts(">");
    print_field(o, "envid", "envelope id");
    print_field(peer, "ip", "from host");
    print_field(peer, "helo", "helo");
    print_field(peer, "protocol", "protocol");
    print_field(peer, "user", "user");
    for (size_t i = 0; i < json_array_size(flags); i++)
        printf("%-12s %s\n", "note", json_string_value(json_array_get(flags, i)));
    print_field(o, "damaged", "DAMAGED");
    for (size_t i = 0; i < json_array_size(rcpts); i++)
        print_recipient(json_array_get(rcpts, i));
    putchar('\n');
    for (const char *s = text_of(o, "header"); *s; s++)
        if (*s == '\n' || *s == '\t' || ((unsigned char)*s >= ' ' && *s != 0x7f))
            putchar(*s);
        else if (*s != '\r')
            putchar('?');
}

struct printer {
    const struct options *o;
    bool any;
};

static void print_bytes(const char *text)
{
    unsigned char bytes[PIECE];
    size_t n;
    if (sodium_base642bin(bytes, sizeof bytes, text, strlen(text), NULL, &n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) == 0)
        fwrite(bytes, 1, n, stdout);
}

static void print_object(struct printer *p, const json_t *o)
{
    const struct options *opt = p->o;
    if (json_is_string(json_object_get(o, "bytes"))) {
        print_bytes(text_of(o, "bytes"));
        return;
    }
    bool last = json_is_true(json_object_get(o, "done"));
    if (opt->json && (!last || strcmp(opt->action, "list") != 0)) {
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (opt->json) {
        return;
    } else if (last && listing_action(opt->action)) {
        json_int_t m = json_integer_value(json_object_get(o, "messages"));
        json_int_t r = json_integer_value(json_object_get(o, "recipients"));
        printf("%lld message%s, %lld recipient%s\n", (long long)m, m == 1 ? "" : "s", (long long)r,
               r == 1 ? "" : "s");
    } else if (!last && strcmp(opt->action, "list") == 0) {
        if (!p->any)
            print_head();
        print_message(o);
    } else if (!last) {
        print_details(o);
    }
    p->any = true;
}

static void on_line(void *ctx, const char *text)
{
    json_t *o = json_loads(text, 0, NULL);
    print_object(ctx, o);
    json_decref(o);
}

/* --- without a gateway --- */

static void nothing(void *ctx, struct queue_msg *m)
{
    (void)ctx, (void)m;
}

static int act_offline(struct queue *q, const struct listing *l, struct printer *p)
{
    size_t n, messages = 0, recipients = 0;
    listing_id *ids = listing_ids(l, q, &n);
    for (size_t i = 0; i < n; i++) {
        struct queue_msg *m = queue_find(q, span_str(ids[i]));
        size_t before = recipients;
        m->in_work++;
        for (uint32_t k = 0; listing_next(l, m, &k); k++) {
            struct queue_change c;
            if (!listing_change(p->o->action, &m->rcpts[k], l->now, &c))
                continue;
            queue_change(q, m, &k, 1, &c);
            recipients++;
        }
        m->in_work--;
        queue_settle(q, m);
        messages += recipients > before;
    }
    free(ids);
    json_t *o = json_pack("{s:b,s:I,s:I}", "done", 1, "messages", (json_int_t)messages,
                          "recipients", (json_int_t)recipients);
    print_object(p, o);
    json_decref(o);
    return EXIT_OK;
}

static int list_offline(struct queue *q, const struct listing *l, struct printer *p)
{
    size_t n;
    listing_id *ids = listing_ids(l, q, &n);
    for (size_t i = 0; i < n; i++) {
        json_t *o = listing_message(l, queue_find(q, span_str(ids[i])));
        print_object(p, o);
        json_decref(o);
    }
    free(ids);
    return EXIT_OK;
}

static int show_offline(struct queue *q, const struct listing *l, struct printer *p)
{
    struct queue_msg *m = queue_find(q, span_str(p->o->ids[0]));
    if (!m) {
        fprintf(stderr, "gatehouse queue: there is no such message in the queue\n");
        return EXIT_BAD;
    }
    if (!p->o->message) {
        json_t *o = listing_details(l, q, m);
        print_object(p, o);
        json_decref(o);
        return EXIT_OK;
    }
    char piece[PIECE];
    int64_t n;
    for (uint64_t at = 0; (n = queue_read(q, m, at, piece, sizeof piece)) > 0; at += (uint64_t)n)
        fwrite(piece, 1, (size_t)n, stdout);
    return n < 0 ? EXIT_BAD : EXIT_OK;
}

static int offline(const struct settings *set, const struct options *o)
{
    bool acting = listing_action(o->action);
    struct queue_options qo = {.read_only = !acting, .segment_size = set->queue.segment_size};
    struct queue_events ev = {nothing, NULL};
    struct err e = {0};
    uv_loop_t loop;
    uv_loop_init(&loop);
    char *dir = xasprintf("%s/queue", set->paths.spool);
    struct queue *q = queue_open(&loop, dir, &qo, &ev, NULL, NULL, &e);
    free(dir);
    if (!q) {
        fprintf(stderr, "gatehouse queue: no gateway runs, and %s%s\n", e.text, cli_remedy(&e));
        uv_loop_close(&loop);
        return EXIT_TEMPFAIL;
    }
    struct routes *routes = routes_open(&set->routes, &e);
    struct listing l = {.routes = routes, .now = clock_wall(), .scratch = arena_new(0)};
    struct printer p = {o, false};
    int code = EXIT_USAGE;
    struct arena *a = arena_new(0);
    if (listing_filter_read(o->filter, a, &l.filter, &e) < 0)
        fprintf(stderr, "gatehouse queue: %s\n", e.text);
    else
        code = acting                           ? act_offline(q, &l, &p)
               : strcmp(o->action, "show") == 0 ? show_offline(q, &l, &p)
                                                : list_offline(q, &l, &p);
    arena_free(a);
    arena_free(l.scratch);
    queue_close(q);
    routes_free(routes);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return code;
}

/* --- asking --- */

static int ask(const struct settings *set, const struct options *o)
{
    struct err e = {0};
    struct printer p = {o, false};
    char who[100];
    json_t *req = json_pack("{s:s,s:s,s:O,s:s}", "command", "queue", "action", o->action, "filter",
                            o->filter, "by", operator_name(who, sizeof who));
    if (strcmp(o->action, "show") == 0) {
        json_object_set_new(req, "id", json_string(o->ids[0]));
        json_object_set_new(req, "message", json_boolean(o->message));
    }
    char *text = json_dumps(req, JSON_COMPACT);
    int result = cli_control(set, text, on_line, &p, &e);
    free(text);
    json_decref(req);
    if (result == 0)
        return EXIT_OK;
    if (e.sys == ENOENT || e.sys == ECONNREFUSED)
        return offline(set, o);
    fprintf(stderr, "gatehouse queue: %s%s\n", e.text, cli_remedy(&e));
    return e.sys ? EXIT_TEMPFAIL : EXIT_BAD;
}

/* --- arguments --- */

static int read_age(struct options *o, const char *key, const char *text)
{
    usec now = clock_wall(), then;
    if (!clock_parse(span_str(text), now, &then) || then > now)
        return cli_usage("queue", "'%s' is not an age, such as 30m, 2h or 3d", text);
    json_object_set_new(o->filter, key, json_integer((now - then) / USEC_PER_SEC));
    return 0;
}

static int set_filter(struct options *o, const char *key, const char *text)
{
    json_t *v = json_string(text);
    if (!v)
        return cli_usage("queue", "'%s' is not UTF-8", text);
    json_object_set_new(o->filter, key, v);
    return 0;
}

static int read_options(int argc, char **argv, struct options *o)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {"message", no_argument, NULL, 'm'},
        {"all", no_argument, NULL, 'a'},
        {"recipient", required_argument, NULL, 'r'},
        {"sender", required_argument, NULL, 's'},
        {"destination", required_argument, NULL, 'd'},
        {"state", required_argument, NULL, 't'},
        {"older", required_argument, NULL, 'o'},
        {"younger", required_argument, NULL, 'y'},
        {0},
    };
    int c, result = 0;
    optind = 1;
    while (result == 0 && (c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (c == 'c')
            o->config = optarg;
        else if (c == 'j')
            o->json = true;
        else if (c == 'm')
            o->message = true;
        else if (c == 'a')
            o->all = true;
        else if (c == 'o' || c == 'y')
            result = read_age(o, c == 'o' ? "older" : "younger", optarg);
        else if (c == '?')
            result = cli_wrong_option("queue");
        else
            result = set_filter(o,
                                c == 'r'   ? "recipient"
                                : c == 's' ? "sender"
                                : c == 'd' ? "destination"
                                           : "state",
                                optarg);
    }
    o->action = optind < argc ? argv[optind] : NULL;
    o->ids = argv + optind + 1;
    o->nids = argc - optind - 1;
    return result;
}

static int check_options(struct options *o)
{
    json_t *ids = json_array();
    for (int i = 0; i < o->nids; i++) {
        if (!queue_id_valid(span_str(o->ids[i]))) {
            json_decref(ids);
            return cli_usage("queue", "'%s' is not the name of a message", o->ids[i]);
        }
        json_array_append_new(ids, json_string(o->ids[i]));
    }
    bool restricted = o->nids || json_object_size(o->filter);
    if (o->nids)
        json_object_set(o->filter, "ids", ids);
    json_decref(ids);
    if (!o->action || (strcmp(o->action, "list") != 0 && strcmp(o->action, "show") != 0 &&
                       !listing_action(o->action)))
        return cli_usage("queue", "list, show, retry, hold, release or delete?");
    if (strcmp(o->action, "show") == 0 && o->nids != 1)
        return cli_usage("queue", "show wants the id of one message");
    if (listing_action(o->action) && !restricted && !o->all)
        return cli_usage("queue", "%s which messages? Give ids or a filter, or --all", o->action);
    if (o->all)
        json_object_set_new(o->filter, "all", json_true());
    return 0;
}

int cmd_queue(int argc, char **argv)
{
    struct options o = {.filter = json_object()};
    int code = read_options(argc, argv, &o);
    if (code == 0)
        code = check_options(&o);
    if (code == 0) {
        struct settings *set = sodium_init() < 0 ? NULL : cli_settings(o.config);
        code = set ? ask(set, &o) : EXIT_CONFIG;
        if (set)
            settings_free(set);
    }
    json_decref(o.filter);
    return code;
}

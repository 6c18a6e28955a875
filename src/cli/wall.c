/* What the first wall remembers, for operators. Works on the state file itself, beside the running
 * gateway. */
#include "cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/cursor.h"
#include "kv/kv.h"
#include "rate/rate.h"
#include "reputation/reputation.h"

const char cmd_wall_help[] =
    "usage: gatehouse wall [-c FILE] [--json] state|stopped\n"
    "       gatehouse wall [-c FILE] [--json] show ADDRESS...\n"
    "       gatehouse wall [-c FILE] forget ADDRESS...\n"
    "       gatehouse wall [-c FILE] release USER...\n"
    "\n"
    "What the first wall remembers. state: how much, and how full the file is. stopped: users who\n"
    "can't send because they went over a limit with 'stop'; release lets them send again. show:\n"
    "what is known of a client's address (reputation, tests passed); forget: no longer.\n"
    "\n"
    "exit status: 0, 1 when nothing was found, 64 usage, 75 the state can't be read\n"
    "\n"
    "example: gatehouse wall release anna@example.org\n";

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'}, {0}};

struct request {
    const char *config;
    bool json;
    usec now;
    struct kv *kv;
    const struct settings *set;
    int result;
};

static void print_json(struct buf *b)
{
    json_close(b, '{');
    printf("%s\n", buf_span(b).p);
    buf_free(b);
}

static int show_state(struct request *q)
{
    struct kv_numbers n;
    kv_numbers(q->kv, &n);
    if (!n.usable)
        return EXIT_TEMPFAIL;
    if (!q->json) {
        printf("%llu entries, %.1f of %.1f MiB in use\n", (unsigned long long)n.entries,
               (double)n.used / 0x1p20, (double)n.size / 0x1p20);
        return EXIT_OK;
    }
    struct buf b = {0};
    json_open(&b, NULL, '{');
    json_count(&b, "entries", n.entries);
    json_count(&b, "used", n.used);
    json_count(&b, "size", n.size);
    print_json(&b);
    return EXIT_OK;
}

static bool one_stopped(void *ctx, struct span user, usec since, usec until)
{
    struct request *q = ctx;
    char from[CLOCK_ISO_SIZE], to[CLOCK_ISO_SIZE];
    clock_iso(since, from);
    if (q->json) {
        struct buf b = {0};
        json_open(&b, NULL, '{');
        json_text(&b, "user", user);
        json_text(&b, "since", span_str(from));
        if (until)
            json_text(&b, "until", span_str(clock_iso(until, to)));
        print_json(&b);
    } else {
        struct buf b = {0};
        json_quoted(&b, user);
        printf("%s since %s until %s\n", b.p, from, until ? clock_iso(until, to) : "released");
        buf_free(&b);
    }
    return true;
}

static int show_stopped(struct request *q)
{
    enum kv_status st = rates_each_stopped(q->kv, q->now, one_stopped, q);
    return st == KV_OK ? EXIT_OK : st == KV_NONE ? EXIT_BAD : EXIT_TEMPFAIL;
}

static int release(struct request *q, const char *user)
{
    enum kv_status st = rates_release(q->kv, span_str(user), q->now);
    if (st == KV_NONE)
        fprintf(stderr, "gatehouse wall: '%s' is not stopped\n", user);
    return st == KV_OK ? EXIT_OK : st == KV_NONE ? EXIT_BAD : EXIT_TEMPFAIL;
}

/* ---- addresses ---- */

static struct span ip_span(const struct ip *ip)
{
    return span_of((const char *)ip->b, sizeof ip->b);
}

static void show_passed(struct request *q, const struct ip *ip, struct buf *b)
{
    struct buf v = {0};
    char text[CLOCK_ISO_SIZE];
    if (kv_get(q->kv, KV_PASSED, ip_span(ip), q->now, &v) == KV_OK) {
        struct cursor c = cursor_over(buf_span(&v));
        usec greet = (usec)cursor_u64(&c), lists = (usec)cursor_u64(&c);
        if (greet > q->now)
            json_text(b, "greeting-until", span_str(clock_iso(greet, text)));
        if (lists > q->now)
            json_text(b, "lists-until", span_str(clock_iso(lists, text)));
    }
    buf_free(&v);
}

static int show(struct request *q, const char *word)
{
    struct ip ip;
    struct buf b = {0};
    if (!ip_parse(span_str(word), &ip))
        return cli_usage("wall", "'%s' is no address", word);
    json_open(&b, NULL, '{');
    json_text(&b, "client", span_str(word));
    size_t empty = b.n;
    for (int k = REP_ADDRESS; k <= REP_NETWORK; k++) {
        struct ip key = reputation_address((enum reputation_kind)k, &ip);
        struct reputation r;
        if (!reputation_get(q->kv, &q->set->reputation, (enum reputation_kind)k, ip_span(&key),
                            q->now, &r))
            continue;
        json_open(&b, reputation_kind_name((enum reputation_kind)k), '{');
        json_number(&b, "score", r.score);
        json_number(&b, "messages", r.messages);
        json_close(&b, '{');
    }
    show_passed(q, &ip, &b);
    int result = b.n > empty ? EXIT_OK : EXIT_BAD;
    print_json(&b);
    return result;
}

static int forget(struct request *q, const char *word)
{
    struct ip ip;
    if (!ip_parse(span_str(word), &ip))
        return cli_usage("wall", "'%s' is no address", word);
    char key[1 + sizeof ip.b];
    key[0] = REP_ADDRESS;
    struct ip rep = reputation_address(REP_ADDRESS, &ip);
    memcpy(key + 1, rep.b, sizeof rep.b);
    bool done = kv_delete(q->kv, KV_PASSED, ip_span(&ip)) == KV_OK &&
                kv_delete(q->kv, KV_REPUTATION, span_of(key, sizeof key)) == KV_OK;
    return done ? EXIT_OK : EXIT_TEMPFAIL;
}

static int run(struct request *q, char **words)
{
    static const struct {
        const char *verb;
        int (*each)(struct request *q, const char *word);
    } verbs[] = {{"show", show}, {"forget", forget}, {"release", release}};
    if (strcmp(words[0], "state") == 0 && !words[1])
        return show_state(q);
    if (strcmp(words[0], "stopped") == 0 && !words[1])
        return show_stopped(q);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(words[0], verbs[i].verb) != 0)
            continue;
        if (!words[1])
            return cli_usage("wall", "%s what?", words[0]);
        int result = EXIT_OK, one;
        for (char **w = words + 1; *w; w++)
            if ((one = verbs[i].each(q, *w)) > result)
                result = one;
        return result;
    }
    return cli_usage("wall", "unknown '%s': say state, stopped, show, forget or release", words[0]);
}

int cmd_wall(int argc, char **argv)
{
    struct request q = {.now = clock_wall()};
    int c;
    optind = 1;
    while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (c == 'c')
            q.config = optarg;
        else if (c == 'j')
            q.json = true;
        else
            return cli_wrong_option("wall");
    }
    if (optind == argc)
        return cli_usage("wall", "say state, stopped, show, forget or release");
    struct settings *s = cli_settings(q.config);
    if (!s)
        return EXIT_CONFIG;
    q.set = s;
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/wall.mdb", s->paths.state);
    if (n < 0 || (size_t)n >= sizeof path || access(path, R_OK | W_OK) != 0) {
        fprintf(stderr, "gatehouse wall: %s can't be opened%s\n", path,
                access(path, F_OK) != 0 ? " (no gateway has run with these settings)"
                                        : " (run as the gateway's user or as root)");
        settings_free(s);
        return EXIT_TEMPFAIL;
    }
    q.kv = kv_open(path, s->state.size);
    int result = run(&q, argv + optind);
    kv_close(q.kv);
    settings_free(s);
    return result;
}

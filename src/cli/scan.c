#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "cli/explain.h"
#include "cli/pool.h"
#include "cli/progress.h"
#include "cli/source.h"
#include "flow/flow.h"
#include "learn/store.h"
#include "prefs/prefs.h"
#include "rules/ruleset.h"

struct options {
    const char *config, *policy;
    bool explain;
    enum scan_format format;
    enum source_type type;
    bool local, filter, stats, profile;
    unsigned jobs;
    struct strings rules, to;
    const char *client_ip, *client_name, *helo, *from;
    const char *user, *prefs;
    struct ip ip;
};

struct scan {
    const struct options *o;
    struct settings *set;
    struct settings *policy_file;   /* of --policy, whose policies are in set */
    struct policy_set *policies;    /* for --explain */
    struct script_settings *script; /* of --policy; NULL: as the settings say */
    struct ruleset *rs;
    struct rules_prefs *prefs; /* of --prefs */
    struct items items;
    struct progress progress;
    size_t failed, temporary, bad;
    uint64_t *micros; /* of each judged message, for --stats */
    size_t judged;
    usec loaded_in, started;
    struct rules_profile *profile; /* shared with the workers; NULL: not asked for */
    /* In a worker: */
    uv_loop_t loop;
    struct flow *flow;
    struct virus_pool *virus;
    struct message *m;
    struct learn_store *learned; /* what Bayes knows; NULL: nothing */
    const struct verdict *verdict;
    uint64_t took;
};

/* --- options --- */

static void push(struct strings *l, const char *v)
{
    l->v = xrealloc(l->v, (l->n + 1) * sizeof *l->v);
    l->v[l->n++] = v;
}

static int word_of(const char *v, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], v) == 0)
            return i;
    return -1;
}

enum {
    O_FORMAT = 256,
    O_LOCAL,
    O_RULES,
    O_IP,
    O_NAME,
    O_HELO,
    O_FROM,
    O_TO,
    O_STATS,
    O_TYPE,
    O_USER,
    O_PREFS,
    O_POLICY,
    O_EXPLAIN,
    O_JSON,
    O_FILTER
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"format", required_argument, NULL, O_FORMAT},
    {"json", no_argument, NULL, O_JSON},
    {"filter", no_argument, NULL, O_FILTER},
    {"local", no_argument, NULL, O_LOCAL},
    {"jobs", required_argument, NULL, 'j'},
    {"rules", required_argument, NULL, O_RULES},
    {"type", required_argument, NULL, O_TYPE},
    {"client-ip", required_argument, NULL, O_IP},
    {"client-name", required_argument, NULL, O_NAME},
    {"helo", required_argument, NULL, O_HELO},
    {"from", required_argument, NULL, O_FROM},
    {"to", required_argument, NULL, O_TO},
    {"user", required_argument, NULL, O_USER},
    {"prefs", required_argument, NULL, O_PREFS},
    {"policy", required_argument, NULL, O_POLICY},
    {"explain", no_argument, NULL, O_EXPLAIN},
    {"stats", optional_argument, NULL, O_STATS},
    {0},
};

static int option_value(struct options *o, int c)
{
    static const char *const formats[] = {"text", "json", "tsv", "message", NULL};
    static const char *const types[] = {"auto", "message", "mbox", NULL};
    int word;
    uint64_t number;
    switch (c) {
    case O_FORMAT:
        if ((word = word_of(optarg, formats)) < 0)
            return cli_usage("scan", "--format: expected text, json, tsv or message, not '%s'",
                             optarg);
        o->format = (enum scan_format)word;
        return 0;
    case O_TYPE:
        if ((word = word_of(optarg, types)) < 0)
            return cli_usage("scan", "--type: expected auto, message or mbox, not '%s'", optarg);
        o->type = (enum source_type)word;
        return 0;
    case 'j':
        if (!span_u64(span_str(optarg), &number) || number < 1 || number > POOL_JOBS_MAX)
            return cli_usage("scan", "--jobs: expected a number from 1 to %d, not '%s'",
                             POOL_JOBS_MAX, optarg);
        o->jobs = (unsigned)number;
        return 0;
    case O_STATS:
        if (optarg && strcmp(optarg, "rules") != 0)
            return cli_usage("scan", "--stats: expected nothing or =rules, not '%s'", optarg);
        o->stats = true;
        o->profile = optarg != NULL;
        return 0;
    case O_IP:
        o->client_ip = optarg;
        if (!ip_parse(span_str(optarg), &o->ip))
            return cli_usage("scan", "--client-ip: expected an address, not '%s'", optarg);
        return 0;
    default:
        return cli_wrong_option("scan");
    }
}

static int parse(struct options *o, int argc, char **argv)
{
    int c;
    optind = 1;
    while ((c = getopt_long(argc, argv, "c:j:", long_options, NULL)) != -1) {
        int result = 0;
        if (c == 'c')
            o->config = optarg;
        else if (c == O_JSON)
            o->format = FORMAT_JSON;
        else if (c == O_FILTER)
            o->filter = true;
        else if (c == O_POLICY)
            o->policy = optarg;
        else if (c == O_EXPLAIN)
            o->explain = true;
        else if (c == O_LOCAL)
            o->local = true;
        else if (c == O_RULES)
            push(&o->rules, optarg);
        else if (c == O_TO)
            push(&o->to, optarg);
        else if (c == O_NAME)
            o->client_name = optarg;
        else if (c == O_HELO)
            o->helo = optarg;
        else if (c == O_FROM)
            o->from = optarg;
        else if (c == O_USER)
            o->user = optarg;
        else if (c == O_PREFS)
            o->prefs = optarg;
        else
            result = option_value(o, c);
        if (result)
            return result;
    }
    if (o->filter)
        o->format = FORMAT_MESSAGE, o->type = SOURCE_MESSAGE;
    if (o->filter && optind < argc && (optind + 1 < argc || strcmp(argv[optind], "-") != 0))
        return cli_usage("scan", "--filter reads one message from standard input, not files");
    if (optind >= argc && !o->filter)
        return cli_usage("scan", "no file, directory or '-' to scan");
    return 0;
}

/* --- in a worker --- */

/* Where nothing was learned there is none; one that may not be read is as good as none. */
static void open_learned(struct scan *s)
{
    char *path = xasprintf("%s/bayes.mdb", s->set->paths.state);
    s->learned = learn_open(path, s->set->learn.size, LEARN_READ, NULL);
    free(path);
}

static void start(void *ctx)
{
    struct scan *s = ctx;
    uv_loop_init(&s->loop);
    if (!s->o->local && s->set->virus.enabled)
        s->virus = virus_pool_new(&s->loop, &s->set->virus, cli_virus_socket(s->set));
    s->flow = flow_new(&s->loop, s->set, s->rs, s->virus);
    if (s->script)
        flow_script(s->flow, s->script);
    flow_profile(s->flow, s->profile);
    flow_prefs(s->flow, s->prefs);
    s->m = message_new(s->set->limits.message_memory);
    open_learned(s);
}

static void judged(void *ctx, struct message *m, const struct verdict *v, uint64_t micros)
{
    struct scan *s = ctx;
    (void)m;
    s->verdict = v;
    s->took = micros;
}

/* What the command line tells about the envelope. */
static void put_envelope(struct scan *s)
{
    const struct options *o = s->o;
    struct message *m = s->m;
    m->has_envelope = o->client_ip || o->client_name || o->helo || o->from || o->to.n;
    m->peer = (struct peer){.ip = o->ip,
                            .has_ip = o->client_ip != NULL,
                            .name = span_str(o->client_name),
                            .helo = span_str(o->helo),
                            .protocol = SPAN("ESMTP")};
    m->env = (struct envelope){.from = o->from ? span_str(o->from) : SPAN("")};
    m->env.rcpts = arena_array(m->arena, o->to.n + 1, sizeof *m->env.rcpts);
    for (size_t i = 0; i < o->to.n; i++)
        m->env.rcpts[m->env.nrcpts++].addr = span_str(o->to.v[i]);
    m->env.cap = m->env.nrcpts;
    m->user = span_str(o->user);
    m->learned = s->learned;
    m->learned_by = o->user && s->set->learn.users ? arena_lower(m->arena, m->user) : SPAN("");
}

/* Its bytes; in *fd, for an engine, a descriptor of nothing else. */
static int open_item(struct scan *s, const struct item *it, int *fd)
{
    *fd = -1;
    message_reset(s->m);
    if (!s->virus)
        return source_read(it, s->m);
    *fd = source_open(it);
    return *fd < 0 ? -1 : message_map(s->m, *fd);
}

static void answer(struct scan *s, const struct item *it, struct pool_result *r, struct buf *out)
{
    r->micros = s->took;
    r->bad = s->m->facts.virus.state == VIRUS_FOUND || (s->verdict->n && s->verdict->v[0].spam);
    if (s->o->filter && s->verdict->n && s->verdict->v[0].outcome == OUT_DEFER) {
        r->failed = r->temporary = true; /* whoever delivers tries again later */
        buf_str(out, s->verdict->v[0].reason);
        return;
    }
    const struct judged j = {s->set, s->rs, it, s->m, s->verdict, s->took};
    if (s->o->explain)
        explain_judged(out, &j, s->policies, s->o->format == FORMAT_JSON);
    else
        format_judged(out, s->o->format, &j, s->items.n > 1);
}

static void work(void *ctx, size_t index, struct pool_result *r, struct buf *out)
{
    struct scan *s = ctx;
    const struct item *it = &s->items.v[index];
    int fd;
    if (open_item(s, it, &fd) != 0) {
        r->failed = true;
        buf_str(out, strerror(errno));
    } else {
        id_new(s->m->id);
        s->m->received = clock_wall();
        put_envelope(s);
        s->verdict = NULL;
        flow_run(s->flow, s->m, fd, judged, s);
        while (!s->verdict)
            uv_run(&s->loop, UV_RUN_ONCE);
        answer(s, it, r, out);
    }
    if (fd >= 0)
        close(fd);
}

/* --- in the parent --- */

static void take(void *ctx, size_t index, const struct pool_result *r)
{
    struct scan *s = ctx;
    struct span text = r->text;
    struct buf failure = {0};
    if (r->failed) {
        char why[256];
        snprintf(why, sizeof why, "%.*s", SPAN_ARG(r->text));
        s->failed++;
        s->temporary += r->temporary;
        progress_hide(&s->progress);
        fprintf(stderr, "gatehouse scan: %s: %s\n", s->items.v[index].name, why);
        format_failure(&failure, s->o->format, s->items.v[index].name, why);
        text = buf_span(&failure);
    } else {
        s->bad += r->bad;
        s->micros[s->judged++] = r->micros;
    }
    if (text.n && s->progress.shown && isatty(STDOUT_FILENO))
        progress_hide(&s->progress);
    fwrite(text.p, 1, text.n, stdout);
    buf_free(&failure);
}

static void tick(void *ctx, size_t done)
{
    struct scan *s = ctx;
    progress_step(&s->progress, done);
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static uint64_t percentile(const struct scan *s, double share)
{
    return s->judged ? s->micros[(size_t)((double)(s->judged - 1) * share)] : 0;
}

static void print_stats(struct scan *s)
{
    double seconds = (double)(clock_mono() - s->started) / 1e6;
    qsort(s->micros, s->judged, sizeof *s->micros, by_value);
    fprintf(stderr,
            "stats messages=%zu failed=%zu bad=%zu jobs=%u load=%.3f seconds=%.3f rate=%.1f "
            "p50=%llu p99=%llu max=%llu\n",
            s->judged, s->failed, s->bad, s->o->jobs, (double)s->loaded_in / 1e6, seconds,
            seconds > 0 ? (double)s->judged / seconds : 0, (unsigned long long)percentile(s, 0.5),
            (unsigned long long)percentile(s, 0.99), (unsigned long long)percentile(s, 1));
}

static int load_prefs(struct scan *s)
{
    struct err e = {0};
    size_t n;
    s->prefs = prefs_file(s->rs, s->o->prefs, &e);
    if (!s->prefs) {
        fprintf(stderr, "gatehouse scan: %s\n", e.text);
        return -1;
    }
    const struct rule_problem *v = rules_prefs_problems(s->prefs, &n);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "gatehouse scan: %s:%u: %s\n", v[i].file, v[i].line, v[i].text);
    return 0;
}

static int load(struct scan *s)
{
    struct err e = {0};
    usec before = clock_mono();
    s->set = cli_settings(s->o->config);
    if (!s->set)
        return EXIT_CONFIG;
    if (s->o->policy && span_ends(span_str(s->o->policy), SPAN(".lua"))) {
        s->script = settings_script(s->set);
        s->script->file = s->o->policy;
    } else if (s->o->policy) {
        if (!(s->policy_file = cli_settings(s->o->policy)))
            return EXIT_CONFIG;
        s->set->policies = s->policy_file->policies;
    }
    if (s->o->explain)
        s->policies = policy_set_new(s->set);
    if (s->o->local)
        s->set->virus.enabled = s->set->rules.network = s->set->authentication.enabled = false;
    if (s->o->rules.n) {
        s->set->rules.dirs = s->o->rules;
        s->set->rules.site_dir = NULL;
    }
    if (s->set->rules.enabled &&
        !(s->rs = cli_ruleset(s->set, !s->set->rules.network, false, &e))) {
        fprintf(stderr, "gatehouse scan: %s\n", e.text);
        return EXIT_CONFIG;
    }
    if (s->rs && s->o->format == FORMAT_TEXT)
        ruleset_keep_bytes(s->rs);
    if (s->o->prefs && s->rs && load_prefs(s) != 0)
        return EXIT_NOINPUT;
    s->loaded_in = clock_mono() - before;
    return 0;
}

static void start_profile(struct scan *s)
{
    if (!s->o->profile || !s->rs)
        return;
    void *p = mmap(NULL, rules_profile_size(s->rs), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    s->profile = p == MAP_FAILED ? NULL : p;
}

static void end_profile(struct scan *s)
{
    enum { RULES_SHOWN = 40 };
    if (!s->profile)
        return;
    rules_profile_print(s->rs, s->profile, RULES_SHOWN, stderr, s->o->format == FORMAT_JSON);
    munmap(s->profile, rules_profile_size(s->rs));
}

/* So many that translating all patterns first pays. */
enum { MANY_ITEMS = 200 };

static int run(struct scan *s, char **paths)
{
    static const struct pool_calls calls_of = {start, work, take, tick, NULL};
    struct pool_calls calls = calls_of;
    calls.ctx = s;
    for (; *paths; paths++)
        source_add(&s->items, *paths, s->o->type);
    s->micros = xcalloc(s->items.n + 1, sizeof *s->micros);
    if (s->rs && s->items.n >= MANY_ITEMS) {
        usec before = clock_mono();
        ruleset_warm(s->rs, true);
        s->loaded_in += clock_mono() - before;
    }
    start_profile(s);
    progress_start(&s->progress, s->items.n);
    s->started = clock_mono();
    int result = pool_run(s->items.n, s->o->jobs, &calls);
    progress_hide(&s->progress);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "gatehouse scan: standard output: %s\n", strerror(errno));
        return EXIT_TEMPFAIL;
    }
    if (s->o->stats)
        print_stats(s);
    end_profile(s);
    if (result != 0) {
        fprintf(stderr, "gatehouse scan: no scanner process can be started: %s\n", strerror(errno));
        return EXIT_TEMPFAIL;
    }
    if (s->temporary)
        return EXIT_TEMPFAIL;
    if (s->failed || s->items.errors)
        return EXIT_NOINPUT;
    return s->bad ? EXIT_BAD : EXIT_OK;
}

int cmd_scan(int argc, char **argv)
{
    struct options o = {.jobs = 0};
    int result = parse(&o, argc, argv);
    if (o.jobs == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        o.jobs = cores > 0 && cores < POOL_JOBS_MAX ? (unsigned)cores : 1;
    }
    struct scan *s = xcalloc(1, sizeof *s);
    s->o = &o;
    if (result == 0)
        result = load(s);
    static char *standard_input[] = {"-", NULL};
    if (result == 0)
        result = run(s, o.filter ? standard_input : argv + optind);
    /* A pipe of a mail delivery agent knows two answers: the message, or not now. */
    if (o.filter && result != EXIT_USAGE)
        result = result == EXIT_OK || result == EXIT_BAD ? EXIT_OK : EXIT_TEMPFAIL;
    source_free(&s->items);
    rules_prefs_free(s->prefs);
    if (s->rs)
        ruleset_free(s->rs);
    policy_set_free(s->policies);
    settings_free(s->set);
    settings_free(s->policy_file);
    free(s->micros);
    free(s);
    free(o.rules.v);
    free(o.to.v);
    return result;
}

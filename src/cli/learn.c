/* `gatehouse learn`: messages that somebody has judged. They are read by worker processes, as those
 * of `gatehouse scan`; only this process writes. */
#include "cli/learn.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/xalloc.h"
#include "cli/pool.h"
#include "cli/progress.h"
#include "rules/lesson.h"

const char cmd_learn_help[] =
    "usage: gatehouse learn [options] spam|ham|forget PATH...|-\n"
    "       gatehouse learn [options] status|backup|expire|clear\n"
    "       gatehouse learn [options] restore FILE|-\n"
    "       gatehouse learn [options] explain PATH...|-\n"
    "\n"
    "Teaches Bayes (SpamAssassin's, the rules BAYES_00 to BAYES_999) what is spam and what is "
    "ham,\n"
    "from files, directories, mailboxes and Maildirs. The rules speak when 200 messages of each\n"
    "kind were learned. A message is learned once; learned as the other kind, it is forgotten as\n"
    "what it was. A running gateway knows at once what was learned.\n"
    "\n"
    "  spam, ham    learn these messages; what filters have written into them is left out\n"
    "  forget       as if they had never been learned\n"
    "  status       how many messages and tokens are known (as `sa-learn --dump magic`)\n"
    "  explain      what Bayes thinks of a message, and the tokens that decide\n"
    "  backup       everything as text on standard output (as `sa-learn --backup`)\n"
    "  restore      what `backup` or `sa-learn --backup` wrote, in place of what is there\n"
    "  expire       now drop the tokens that were of no use for longest, when there are too many\n"
    "  clear        forget everything\n"
    "\n"
    "  -c, --config FILE   settings\n"
    "  --user NAME         the part of a user (learn.users); without it: the site's\n"
    "  --store FILE        another store than paths.state/bayes.mdb\n"
    "  --rules DIR         rule files from DIR (bayes_* settings); may be repeated\n"
    "  --type TYPE         auto, message or mbox: what files are (default: auto)\n"
    "  -j, --jobs N        worker processes (default: one for each core)\n"
    "  --all               explain: all tokens, not only those that decide\n"
    "  --json              one JSON object a line\n"
    "\n"
    "exit status: 0 done (also when all was known), 64 usage, 66 something can't be read,\n"
    "75 the store can't be written now, 78 settings or rules can't be used\n"
    "\n"
    "example: gatehouse learn spam ~/Maildir/.Junk && gatehouse learn ham ~/Maildir/cur\n"
    "         sa-learn --backup | gatehouse learn restore -\n";

/* One transaction holds at most so many messages, and no longer than that. */
enum { BATCH_MESSAGES = 200 };
#define BATCH_TIME ((usec)500000)

struct teaching {
    struct learning *l;
    enum learn_class what;
    struct message *m; /* in a worker */
    struct progress progress;
    size_t learned, known, failed, temporary, batch;
    usec since;
    struct err e; /* the store's; text when it failed */
};

/* --- in a worker --- */

static void start(void *ctx)
{
    struct teaching *t = ctx;
    t->m = message_new(t->l->set->limits.message_memory);
}

static void work(void *ctx, size_t index, struct pool_result *r, struct buf *out)
{
    struct teaching *t = ctx;
    struct learn_lesson lesson;
    message_reset(t->m);
    if (source_read(&t->l->items.v[index], t->m) != 0) {
        r->failed = true;
        buf_str(out, strerror(errno));
    } else {
        t->m->received = clock_wall();
        t->m->learned_by = t->l->user;
        rules_lesson(t->l->rs, t->m, t->what, &lesson);
        learn_lesson_encode(out, &lesson);
    }
}

/* --- in the parent --- */

static int end_batch(struct teaching *t)
{
    struct rules_expiry x = rules_expiry(t->l->rs);
    struct learn_counts n;
    if (t->batch && learn_commit(t->l->store, &t->e) != 0)
        return -1;
    t->batch = 0;
    if (x.most && learn_counts(t->l->store, t->l->user, &n) &&
        (n.tokens > x.most || n.seen > LEARN_SEEN_MAX) &&
        learn_expire(t->l->store, t->l->user, x.most, x.keep,
                     (uint32_t)(clock_wall() / USEC_PER_SEC), &t->e) < 0)
        return -1;
    return 0;
}

static enum learn_result apply(struct teaching *t, struct span bytes)
{
    struct learn_lesson lesson;
    if (!learn_lesson_decode(bytes, &lesson)) {
        err_set(&t->e, "a worker's answer can't be read");
        return LEARN_FAILED;
    }
    if (t->batch == 0) {
        if (learn_begin(t->l->store, &t->e) != 0)
            return LEARN_FAILED;
        t->since = clock_mono();
    }
    t->batch++;
    enum learn_result r = learn_apply(t->l->store, &lesson, &t->e);
    bool over = t->batch >= BATCH_MESSAGES || clock_mono() - t->since > BATCH_TIME;
    if (over && end_batch(t) != 0)
        return LEARN_FAILED;
    return r;
}

static void tell(struct teaching *t, const char *name, const char *result, struct span why)
{
    struct buf b = {0};
    if (!t->l->json) {
        if (why.n) {
            progress_hide(&t->progress);
            fprintf(stderr, "gatehouse learn: %s: %.*s\n", name, SPAN_ARG(why));
        }
        return;
    }
    json_open(&b, NULL, '{');
    json_text(&b, "file", span_str(name));
    json_text(&b, "result", span_str(result));
    if (why.n)
        json_text(&b, "why", why);
    json_close(&b, '{');
    printf("%.*s\n", SPAN_ARG(buf_span(&b)));
    buf_free(&b);
}

static void take(void *ctx, size_t index, const struct pool_result *r)
{
    struct teaching *t = ctx;
    const char *name = t->l->items.v[index].name;
    if (r->failed) {
        t->failed++;
        t->temporary += r->temporary;
        tell(t, name, "failed", r->text);
        return;
    }
    enum learn_result result = t->e.text[0] ? LEARN_FAILED : apply(t, r->text);
    t->learned += result == LEARN_DONE;
    t->known += result == LEARN_KNOWN;
    bool bad = result == LEARN_FULL || result == LEARN_FAILED;
    t->failed += bad;
    t->temporary += bad;
    const char *word = result == LEARN_KNOWN && t->what == LEARN_FORGET ? "unknown"
                       : result == LEARN_DONE && t->what == LEARN_FORGET
                           ? "forgotten"
                           : learn_result_name(result);
    tell(t, name, word, bad ? span_str(t->e.text) : SPAN_NONE);
}

static void tick(void *ctx, size_t done)
{
    struct teaching *t = ctx;
    progress_step(&t->progress, done);
}

static void print_sum(const struct teaching *t, const struct learn_counts *n)
{
    struct buf b = {0};
    bool forget = t->what == LEARN_FORGET;
    if (!t->l->json) {
        printf("%zu %s, %zu %s, %zu could not be read or learned; known now: %u spam, %u ham, "
               "%llu tokens\n",
               t->learned, forget ? "forgotten" : "learned", t->known,
               forget ? "were not known" : "known already", t->failed, n->spam, n->ham,
               (unsigned long long)n->tokens);
        return;
    }
    json_open(&b, NULL, '{');
    json_count(&b, forget ? "forgotten" : "learned", t->learned);
    json_count(&b, forget ? "unknown" : "known", t->known);
    json_count(&b, "failed", t->failed);
    json_count(&b, "spam", n->spam);
    json_count(&b, "ham", n->ham);
    json_count(&b, "tokens", n->tokens);
    json_close(&b, '{');
    printf("%.*s\n", SPAN_ARG(buf_span(&b)));
    buf_free(&b);
}

static int teach(struct learning *l, enum learn_class what, char **paths)
{
    struct teaching t = {.l = l, .what = what};
    struct pool_calls calls = {start, work, take, tick, &t};
    struct learn_counts n = {0};
    int result = learning_rules(l);
    if (result == 0)
        result = learning_store(l, LEARN_WRITE);
    if (result != 0)
        return result;
    for (; *paths; paths++)
        source_add(&l->items, *paths, l->type);
    progress_start(&t.progress, l->items.n);
    int rc = pool_run(l->items.n, l->jobs, &calls);
    progress_hide(&t.progress);
    if (end_batch(&t) != 0 || rc != 0) {
        fprintf(stderr, "gatehouse learn: %s%s\n",
                rc != 0 ? "no worker process can be started" : t.e.text, cli_remedy(&t.e));
        return EXIT_TEMPFAIL;
    }
    learn_counts(l->store, l->user, &n);
    print_sum(&t, &n);
    return t.temporary ? EXIT_TEMPFAIL : t.failed || l->items.errors ? EXIT_NOINPUT : EXIT_OK;
}

/* --- what all words share --- */

/* Root makes the file for the user that the gateway runs as: the owner of the directory. */
static void give_to_gateway(const struct learning *l)
{
    struct stat st;
    char *lock = xasprintf("%s-lock", l->path);
    if (geteuid() == 0 && stat(l->set->paths.state, &st) == 0 && st.st_uid != 0 &&
        (chown(l->path, st.st_uid, st.st_gid) != 0 || chown(lock, st.st_uid, st.st_gid) != 0))
        fprintf(stderr, "gatehouse learn: %s: %s\n", l->path, strerror(errno));
    free(lock);
}

int learning_store(struct learning *l, enum learn_mode mode)
{
    struct err e = {0};
    if (!l->path)
        l->path = arena_printf(l->set->arena, "%s/bayes.mdb", l->set->paths.state).p;
    l->store = learn_open(l->path, l->set->learn.size, mode, &e);
    if (!l->store) {
        const char *remedy = e.sys == ENOENT && mode == LEARN_READ
                                 ? " (nothing was learned yet: 'gatehouse learn spam PATH')"
                                 : cli_remedy(&e);
        fprintf(stderr, "gatehouse learn: %s%s\n", e.text, remedy);
        return e.sys == ENOENT ? EXIT_NOINPUT : EXIT_TEMPFAIL;
    }
    give_to_gateway(l);
    return 0;
}

int learning_rules(struct learning *l)
{
    struct err e = {0};
    if (l->rules.n) {
        l->set->rules.dirs = l->rules;
        l->set->rules.site_dir = NULL;
    }
    l->rs = cli_ruleset(l->set, true, false, &e);
    if (!l->rs) {
        fprintf(stderr, "gatehouse learn: %s\n", e.text);
        return EXIT_CONFIG;
    }
    if (!rules_learn(l->rs)) {
        fprintf(stderr, "gatehouse learn: the rule files do not want Bayes (loadplugin "
                        "Mail::SpamAssassin::Plugin::Bayes, use_bayes, use_learner)\n");
        return EXIT_CONFIG;
    }
    return 0;
}

static int run(struct learning *l, char **words)
{
    static const struct {
        const char *word;
        enum learn_class what;
    } classes[] = {{"spam", LEARN_SPAM}, {"ham", LEARN_HAM}, {"forget", LEARN_FORGET}};
    static const struct {
        const char *word;
        int (*run)(struct learning *l);
    } verbs[] = {{"status", learn_status}, {"backup", learn_save}, {"expire", learn_shrink}};
    const char *word = words[0], *path = words[1];
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strcmp(word, classes[i].word) == 0)
            return path ? teach(l, classes[i].what, words + 1)
                        : cli_usage("learn", "%s what? Name a file, a directory or '-'", word);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(word, verbs[i].word) == 0)
            return path ? cli_usage("learn", "%s takes no file", word) : verbs[i].run(l);
    if (strcmp(word, "clear") == 0 && !path)
        return learn_load(l, NULL);
    if (strcmp(word, "restore") == 0)
        return path && !words[2] ? learn_load(l, path)
                                 : cli_usage("learn", "restore one file, or '-'");
    if (strcmp(word, "explain") == 0)
        return path ? learn_explain(l, words + 1) : cli_usage("learn", "explain which message?");
    return cli_usage("learn",
                     "unknown '%s': say spam, ham, forget, status, explain, backup, "
                     "restore, expire or clear",
                     word);
}

enum { O_USER = 256, O_STORE, O_RULES, O_TYPE, O_JSON, O_ALL };

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"user", required_argument, NULL, O_USER},
    {"store", required_argument, NULL, O_STORE},
    {"rules", required_argument, NULL, O_RULES},
    {"type", required_argument, NULL, O_TYPE},
    {"jobs", required_argument, NULL, 'j'},
    {"json", no_argument, NULL, O_JSON},
    {"all", no_argument, NULL, O_ALL},
    {0},
};

static int take_option(struct learning *l, int c)
{
    static const char *const types[] = {"auto", "message", "mbox"};
    uint64_t number;
    switch (c) {
    case 'c':
        l->config = optarg;
        return 0;
    case 'j':
        if (!span_u64(span_str(optarg), &number) || number < 1 || number > POOL_JOBS_MAX)
            return cli_usage("learn", "--jobs: expected a number from 1 to %d, not '%s'",
                             POOL_JOBS_MAX, optarg);
        l->jobs = (unsigned)number;
        return 0;
    case O_USER:
        l->user = span_str(optarg);
        if (l->user.n > LEARN_USER_MAX)
            return cli_usage("learn", "--user: at most %d bytes", LEARN_USER_MAX);
        return 0;
    case O_STORE:
        l->path = optarg;
        return 0;
    case O_RULES:
        l->rules.v = xrealloc(l->rules.v, (l->rules.n + 1) * sizeof *l->rules.v);
        l->rules.v[l->rules.n++] = optarg;
        return 0;
    case O_TYPE:
        for (size_t i = 0; i < sizeof types / sizeof *types; i++)
            if (strcmp(optarg, types[i]) == 0) {
                l->type = (enum source_type)i;
                return 0;
            }
        return cli_usage("learn", "--type: expected auto, message or mbox, not '%s'", optarg);
    case O_JSON:
        l->json = true;
        return 0;
    case O_ALL:
        l->all = true;
        return 0;
    default:
        return cli_wrong_option("learn");
    }
}

int cmd_learn(int argc, char **argv)
{
    struct learning l = {.user = SPAN("")};
    int c, result = 0;
    l.items.command = "learn";
    optind = 1;
    while (result == 0 && (c = getopt_long(argc, argv, "c:j:", options, NULL)) != -1)
        result = take_option(&l, c);
    if (result == 0 && optind == argc)
        result = cli_usage("learn", "say spam, ham, forget or status");
    if (l.jobs == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        l.jobs = cores > 0 && cores < POOL_JOBS_MAX ? (unsigned)cores : 1;
    }
    if (result == 0) {
        l.set = cli_settings(l.config);
        result = l.set ? run(&l, argv + optind) : EXIT_CONFIG;
    }
    if (result == EXIT_OK && (fflush(stdout) != 0 || ferror(stdout)))
        result = EXIT_TEMPFAIL;
    learn_close(l.store);
    source_free(&l.items);
    ruleset_free(l.rs);
    settings_free(l.set);
    free(l.rules.v);
    return result;
}

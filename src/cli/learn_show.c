/* What `gatehouse learn` shows, saves and brings back. */
#include "cli/learn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "rules/lesson.h"

/* --- status --- */

static const char *date_of(struct learning *l, uint32_t seconds)
{
    char text[CLOCK_RFC5322_SIZE];
    if (!seconds)
        return "never";
    return arena_strdup(l->set->arena, clock_rfc5322((usec)seconds * USEC_PER_SEC, text));
}

static void print_part(struct learning *l, struct span user, const struct learn_counts *n,
                       uint32_t oldest)
{
    struct buf b = {0};
    if (l->json) {
        json_open(&b, NULL, '{');
        json_text(&b, "user", user);
        json_count(&b, "spam", n->spam);
        json_count(&b, "ham", n->ham);
        json_count(&b, "tokens", n->tokens);
        json_count(&b, "oldest", oldest);
        json_count(&b, "newest", n->newest);
        json_count(&b, "last_expiry", n->last_expiry);
        json_count(&b, "last_expired", n->last_expired);
        json_close(&b, '{');
        printf("%.*s\n", SPAN_ARG(buf_span(&b)));
        buf_free(&b);
        return;
    }
    if (user.n)
        printf("user %.*s\n", SPAN_ARG(user));
    printf("messages     %u spam, %u ham\n", n->spam, n->ham);
    printf("tokens       %llu\n", (unsigned long long)n->tokens);
    printf("oldest token %s\n", date_of(l, oldest));
    printf("newest token %s\n", date_of(l, n->newest));
    printf("last expiry  %s", date_of(l, n->last_expiry));
    if (n->last_expiry)
        printf(" (%llu tokens)", (unsigned long long)n->last_expired);
    putchar('\n');
}

struct parts {
    struct learning *l;
    struct {
        struct span user;
        struct learn_counts n;
    } * v;
    size_t n, cap;
};

static bool note_part(void *ctx, struct span user, const struct learn_counts *n)
{
    struct parts *p = ctx;
    struct arena *a = p->l->set->arena;
    ARENA_PUSH(a, p->v, p->n, p->cap)->user = arena_dup(a, user);
    p->v[p->n - 1].n = *n;
    return true;
}

int learn_status(struct learning *l)
{
    struct parts p = {.l = l};
    int result = learning_store(l, LEARN_READ);
    if (result != 0)
        return result;
    if (!learn_each_user(l->store, note_part, &p)) {
        fprintf(stderr, "gatehouse learn: %s can't be read\n", l->path);
        return EXIT_TEMPFAIL;
    }
    for (size_t i = 0; i < p.n; i++)
        if (!l->user.n || span_eq(l->user, p.v[i].user))
            print_part(l, p.v[i].user, &p.v[i].n, learn_oldest(l->store, p.v[i].user));
    return EXIT_OK;
}

/* --- explain --- */

/* With all its digits: some are very near to 0 or 1. Never the first member. */
static void probability(struct buf *b, double v)
{
    buf_printf(b, ",\"probability\":%.15f", v);
}

static void print_bayes(const struct learning *l, const char *name, const struct rules_bayes *b)
{
    struct buf out = {0};
    if (l->json) {
        json_open(&out, NULL, '{');
        json_text(&out, "file", span_str(name));
        if (b->has_score)
            probability(&out, b->score);
        json_count(&out, "tokens", b->tokens);
        json_count(&out, "known", b->known);
        json_open(&out, l->all ? "all" : "decisive", '[');
        for (size_t i = 0; i < b->n; i++) {
            json_open(&out, NULL, '{');
            json_text(&out, "token", b->v[i].text);
            probability(&out, b->v[i].probability);
            json_count(&out, "spam", b->v[i].spam);
            json_count(&out, "ham", b->v[i].ham);
            json_close(&out, '{');
        }
        json_close(&out, '[');
        json_close(&out, '{');
        printf("%.*s\n", SPAN_ARG(buf_span(&out)));
        buf_free(&out);
        return;
    }
    if (b->has_score)
        printf("%s: %.6f (0 ham, 1 spam); %zu tokens, %zu known%s\n", name, b->score, b->tokens,
               b->known, l->all ? "" : "; those that decide:");
    else
        printf("%s: no opinion (enough must have been learned); %zu tokens, %zu known\n", name,
               b->tokens, b->known);
    for (size_t i = 0; i < b->n; i++)
        printf("  %.6f %6u spam %6u ham  %.*s\n", b->v[i].probability, b->v[i].spam, b->v[i].ham,
               SPAN_ARG(b->v[i].text));
}

static int explain_one(struct learning *l, const struct item *it, struct message *m)
{
    struct rules_bayes b;
    message_reset(m);
    if (source_read(it, m) != 0) {
        fprintf(stderr, "gatehouse learn: %s: %s\n", it->name, strerror(errno));
        return EXIT_NOINPUT;
    }
    m->learned = l->store;
    m->learned_by = l->user;
    rules_bayes(l->rs, m, l->all, &b);
    print_bayes(l, it->name, &b);
    return EXIT_OK;
}

int learn_explain(struct learning *l, char **paths)
{
    int result = learning_rules(l);
    if (result == 0)
        result = learning_store(l, LEARN_READ);
    if (result != 0)
        return result;
    for (; *paths; paths++)
        source_add(&l->items, *paths, l->type);
    struct message *m = message_new(l->set->limits.message_memory);
    for (size_t i = 0; i < l->items.n; i++) {
        int one = explain_one(l, &l->items.v[i], m);
        result = one ? one : result;
    }
    message_free(m);
    return result ? result : l->items.errors ? EXIT_NOINPUT : EXIT_OK;
}

/* --- all of it --- */

static int failed(const struct err *e)
{
    fprintf(stderr, "gatehouse learn: %s\n", e->text);
    return EXIT_TEMPFAIL;
}

int learn_save(struct learning *l)
{
    struct err e = {0};
    int result = learning_store(l, LEARN_READ);
    if (result != 0)
        return result;
    return learn_backup(l->store, l->user, stdout, &e) == 0 ? EXIT_OK : failed(&e);
}

int learn_load(struct learning *l, const char *file)
{
    struct err e = {0};
    struct learn_counts n = {0};
    FILE *in = !file ? NULL : strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
    if (file && !in) {
        fprintf(stderr, "gatehouse learn: %s: %s\n", file, strerror(errno));
        return EXIT_NOINPUT;
    }
    int result = learning_store(l, LEARN_WRITE);
    if (result == 0) {
        int rc = in ? learn_restore(l->store, l->user, in, &e) : learn_clear(l->store, l->user, &e);
        if (rc != 0)
            result = failed(&e);
    }
    if (in && in != stdin)
        fclose(in);
    if (result == 0 && learn_counts(l->store, l->user, &n))
        print_part(l, l->user, &n, learn_oldest(l->store, l->user));
    return result;
}

int learn_shrink(struct learning *l)
{
    struct err e = {0};
    int result = learning_rules(l);
    if (result == 0)
        result = learning_store(l, LEARN_WRITE);
    if (result != 0)
        return result;
    struct rules_expiry x = rules_expiry(l->rs);
    int64_t gone = x.most ? learn_expire(l->store, l->user, x.most, x.keep,
                                         (uint32_t)(clock_wall() / USEC_PER_SEC), &e)
                          : 0;
    if (gone < 0)
        return failed(&e);
    if (l->json)
        printf("{\"expired\":%lld}\n", (long long)gone);
    else
        printf("%lld tokens went\n", (long long)gone);
    return EXIT_OK;
}

/* What a message teaches (semantics 9.3). */
#include "rules/lesson.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "learn/combine.h"
#include "learn/unmark.h"
#include "rules/bayes.h"
#include "rules/eval_state.h"
#include "rules/ruleset_private.h"

/* --- who the message is --- */

static void hex_of(const unsigned char *digest, unsigned n, char *out)
{
    for (unsigned i = 0; i < n; i++)
        snprintf(out + 2 * (size_t)i, 3, "%02x", digest[i]);
}

/* SHA-1 of the body with LF line ends, as SpamAssassin reads messages with CRLF. */
static void body_digest(const struct mime *m, char *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct span rest = m->body_bytes;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    out[0] = '\0';
    if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) != 1) {
        EVP_MD_CTX_free(ctx);
        return;
    }
    for (size_t cr; m->crlf && (cr = span_search(rest, SPAN("\r\n"))) != SIZE_MAX;) {
        EVP_DigestUpdate(ctx, rest.p, cr);
        EVP_DigestUpdate(ctx, "\n", 1);
        rest = span_from(rest, cr + 2);
    }
    if (rest.n)
        EVP_DigestUpdate(ctx, rest.p, rest.n);
    EVP_DigestFinal_ex(ctx, digest, &n);
    EVP_MD_CTX_free(ctx);
    hex_of(digest, n, out);
}

/* The last field of that name, decoded, with a line end; empty when there is none. */
static struct span last_value(struct rules_ctx *c, struct span name)
{
    struct mime_field *f = mime_last(&c->mime->root->fields, name);
    return f ? arena_printf(c->a, "%.*s\n", SPAN_ARG(mime_decoded(c->mime, f))) : SPAN("");
}

struct span bayes_made_id(struct rules_ctx *c)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char body[2 * EVP_MAX_MD_SIZE + 1], hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned n = 0;
    struct span to = last_value(c, SPAN("To")), date = last_value(c, SPAN("Date"));
    struct buf b = {0};
    body_digest(c->mime, body);
    buf_add(&b, to);
    buf_char(&b, '\0');
    buf_add(&b, date);
    buf_char(&b, '\0');
    buf_str(&b, body);
    EVP_Digest(b.p, b.n, digest, &n, EVP_sha1(), NULL);
    buf_free(&b);
    hex_of(digest, n, hex);
    return arena_printf(c->a, "%s@sa_generated", hex);
}

struct span bayes_msgid(struct rules_ctx *c)
{
    struct span id = span_trim(last_value(c, SPAN("Message-Id")));
    if (id.n < 3 || id.p[0] != '<' || id.p[id.n - 1] != '>')
        return SPAN_NONE;
    return span_sub(id, 1, id.n - 1);
}

uint32_t bayes_time(struct rules_ctx *c)
{
    enum { DAY = 86400 };
    int64_t now = (int64_t)(clock_wall() / USEC_PER_SEC), when = message_time(c);
    return when <= 0 || when > now + DAY || when > UINT32_MAX ? (uint32_t)now : (uint32_t)when;
}

/* --- settings --- */

bool rules_learn(const struct ruleset *rs)
{
    const struct conf_bayes *b = &rs->conf->bayes;
    return conf_plugin(rs->conf, "Bayes") && b->use_learner && b->use_bayes;
}

bool rules_learn_told(const struct ruleset *rs)
{
    return rules_learn(rs) && conf_bool(rs->conf, "bayes_learn_during_report", true);
}

struct rules_expiry rules_expiry(const struct ruleset *rs)
{
    enum { TOKENS = 150000, LEAST = 20000, KEEP = 100000 };
    double most = conf_number(rs->conf, "bayes_expiry_max_db_size", TOKENS);
    if (!conf_bool(rs->conf, "bayes_auto_expire", true))
        return (struct rules_expiry){0, 0};
    if (!(most >= LEAST))
        most = LEAST;
    if (most > UINT32_MAX)
        most = UINT32_MAX;
    double keep = most * 0.75 > KEEP ? most * 0.75 : KEEP;
    return (struct rules_expiry){(uint64_t)most, (uint64_t)(keep < most ? keep : most)};
}

/* --- lessons --- */

static void fill(struct rules_ctx *c, enum learn_class what, struct learn_lesson *out)
{
    *out = (struct learn_lesson){.user = c->m->learned_by,
                                 .what = what,
                                 .made_id = bayes_made_id(c),
                                 .msgid = bayes_msgid(c),
                                 .when = bayes_time(c)};
}

/* The message as it was before filters wrote into it, read anew. */
static struct rules_ctx read_clean(const struct ruleset *rs, struct message *m)
{
    struct message *clean = ARENA_NEW(m->arena, struct message);
    *clean = *m;
    clean->raw = unmark(m->arena, m->raw, rs->conf->report.rewrite_subject);
    struct rules_ctx c = {.set = rs, .conf = rs->conf, .m = clean, .a = m->arena};
    run_read(&c, NULL);
    return c;
}

void rules_lesson(const struct ruleset *rs, struct message *m, enum learn_class what,
                  struct learn_lesson *out)
{
    struct rules_ctx c = read_clean(rs, m);
    fill(&c, what, out);
    out->tokens = bayes_tokens(&c, false)->ids;
}

static bool judged_by(const struct rules_scratch *s, const struct message *m)
{
    return s->lesson && s->lesson->m->arena == m->arena;
}

static int by_id(const void *x, const void *y)
{
    return memcmp(x, y, LEARN_TOKEN_SIZE);
}

bool rules_touch_lesson(const struct rules_scratch *s, struct message *m, struct learn_lesson *out)
{
    enum { DAY = 86400 };
    if (!judged_by(s, m))
        return false;
    const struct bayes *b = bayes_judge(s->lesson);
    uint32_t now = (uint32_t)(clock_wall() / USEC_PER_SEC), when = bayes_time(s->lesson);
    char *ids = b ? arena_raw(m->arena, b->n * LEARN_TOKEN_SIZE + 1) : NULL;
    size_t n = 0;
    when = when > now ? now : when;
    for (size_t i = 0; b && i < b->n; i++)
        if (b->v[i].seen.atime + DAY < when)
            memcpy(ids + LEARN_TOKEN_SIZE * n++, b->v[i].id, LEARN_TOKEN_SIZE);
    if (n == 0)
        return false;
    qsort(ids, n, LEARN_TOKEN_SIZE, by_id);
    *out = (struct learn_lesson){.user = m->learned_by,
                                 .what = LEARN_TOUCH,
                                 .tokens = span_of(ids, n * LEARN_TOKEN_SIZE),
                                 .when = when};
    return true;
}

bool rules_auto_lesson(const struct rules_scratch *s, struct message *m, struct learn_lesson *out)
{
    if (!m->facts.rules.learn || !judged_by(s, m))
        return false;
    fill(s->lesson, (enum learn_class)m->facts.rules.learn, out);
    out->no_relearn = true;
    out->tokens = bayes_tokens(s->lesson, true)->ids;
    return true;
}

/* --- for people --- */

/* What the store knows of each, whether it decides or not. */
static void all_tokens(struct rules_ctx *c, const struct bayes *b, struct rules_bayes *out)
{
    struct learn_counts n = {0};
    size_t count = b->ids.n / LEARN_TOKEN_SIZE;
    struct learn_seen_token *seen = arena_array(c->a, count + 1, sizeof *seen);
    learn_counts(c->m->learned, c->m->learned_by, &n);
    learn_look_up(c->m->learned, c->m->learned_by, b->ids, seen);
    out->v = arena_array(c->a, count + 1, sizeof *out->v);
    for (size_t i = 0; i < count; i++) {
        bool told = n.spam && n.ham && seen[i].spam + (uint64_t)seen[i].ham > 0;
        double p = told ? learn_probability(seen[i].spam, seen[i].ham, n.spam, n.ham) : 0.5;
        out->v[out->n++] =
            (struct rules_opinion_token){b->tokens.v[i].text, p, seen[i].spam, seen[i].ham};
    }
}

void rules_bayes(const struct ruleset *rs, struct message *m, bool all, struct rules_bayes *out)
{
    struct rules_ctx c = read_clean(rs, m);
    const struct bayes *b = bayes_tokens(&c, true);
    (void)bayes_judge(&c);
    *out = (struct rules_bayes){
        .has_score = b->has_score, .score = b->score, .tokens = b->tokens.n, .known = b->known};
    if (all) {
        all_tokens(&c, b, out);
        return;
    }
    out->v = arena_array(m->arena, b->n + 1, sizeof *out->v);
    for (size_t i = 0; i < b->n; i++)
        out->v[out->n++] = (struct rules_opinion_token){b->v[i].text, b->v[i].p, b->v[i].seen.spam,
                                                        b->v[i].seen.ham};
}

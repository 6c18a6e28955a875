/* check_bayes (semantics 8.7, 9): the probability that a message is spam, by what was learned. */
#include "rules/bayes.h"

#include <math.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "learn/combine.h"
#include "rules/eval.h"
#include "rules/eval_state.h"
#include "rules/plugin.h"
#include "rules/prefs_private.h"
#include "pattern/regex.h"

/* --- made once for a set of rules --- */

enum { LANGUAGES_MAX = 16 };

struct setup {
    pthread_mutex_t lock;
    struct learn_words *words; /* NULL: not needed yet */
    struct regex *stop[LANGUAGES_MAX];
    size_t nstop;
};

static void setup_free(void *ctx)
{
    struct setup *s = ctx;
    learn_words_free(s->words);
    pthread_mutex_destroy(&s->lock);
}

/* English when the rule files bring no list of their own. */
static const char stop_english[] =
    "^(?i)(?:a(?:ble|l(?:ready|l)|n[dy]|re)|b(?:ecause|oth)|c(?:an|ome)|e(?:ach|mail|ven)"
    "|f(?:ew|irst|or|rom)|give|h(?:a(?:ve|s)|ttp)|i(?:n(?:formation|to)|t's)|just|know"
    "|l(?:ike|o(?:ng|ok))|m(?:a(?:de|il(?:(?:ing|to))?|ke|ny)|o(?:re|st)|uch)"
    "|n(?:eed|o[tw]|umber)|o(?:ff|n(?:ly|e)|ut|wn)|p(?:eople|lace)|right|s(?:ame|ee|uch)"
    "|t(?:h(?:at|is|rough|e)|ime)|using|w(?:eb|h(?:ere|y)|ith(?:out)?|or(?:ld|k))"
    "|y(?:ears?|ou(?:(?:'re|r))?))$";

static void add_language(struct ruleset *rs, struct setup *s, struct span language)
{
    const struct span *pattern =
        map_get(&rs->conf->bayes.stopwords, arena_lower(rs->arena, language));
    struct err e = {0};
    struct span text = pattern ? *pattern : SPAN_NONE;
    if (!pattern && span_ieq(language, SPAN("en")))
        text = span_str(stop_english);
    if (!text.p || s->nstop == LANGUAGES_MAX)
        return;
    struct regex *re = regex_new(rs->arena, text, SPAN(""), &e);
    if (re)
        s->stop[s->nstop++] = re;
    else
        ruleset_problem(rs, (struct conf_at){0}, "bayes_stopword_%.*s: %s", SPAN_ARG(language),
                        e.text);
}

void bayes_prepare(struct ruleset *rs)
{
    struct span languages = rs->conf->bayes.stopword_languages, one;
    if (!conf_plugin(rs->conf, "Bayes"))
        return;
    struct setup *s = ARENA_NEW(rs->arena, struct setup);
    pthread_mutex_init(&s->lock, NULL);
    arena_defer(rs->arena, setup_free, s);
    if (!languages.n)
        languages = SPAN("en");
    if (!span_eq(languages, SPAN("disable")))
        while ((one = span_word(&languages, ", \t")).p)
            add_language(rs, s, one);
    *plugin_made(rs->conf, "Bayes") = s;
}

/* The patterns are compiled when the first message needs them. */
static const struct learn_words *words_of(struct setup *s)
{
    struct err e;
    pthread_mutex_lock(&s->lock);
    if (!s->words)
        s->words = learn_words_new(&e);
    pthread_mutex_unlock(&s->lock);
    return s->words;
}

/* --- the message's texts --- */

struct reader {
    struct rules_ctx *c;
    const struct setup *setup;
};

static bool is_stopword(void *ctx, struct span word)
{
    const struct reader *r = ctx;
    for (size_t i = 0; i < r->setup->nstop; i++)
        if (regex_hit(r->setup->stop[i], word))
            return true;
    return false;
}

static bool is_ignored(void *ctx, struct span name)
{
    const struct reader *r = ctx;
    for (const struct conf *c = r->c->conf; c; c = c->under)
        if (map_get(&c->bayes.ignore_headers, name))
            return true;
    return false;
}

static void add_metadata(struct learn_text *t, struct learn_field *v, const char *name,
                         struct span value)
{
    if (value.p)
        v[t->nmetadata++] = (struct learn_field){span_str(name), value};
}

enum { METADATA_MAX = 8 };

/* In order of their names, as SpamAssassin goes through them. */
static void read_metadata(struct rules_ctx *c, struct learn_text *t, bool scanned)
{
    struct learn_field *v = arena_array(c->a, METADATA_MAX, sizeof *v);
    const struct relays *r = c->relays;
    t->metadata = v;
    if (scanned)
        add_metadata(t, v, "x-authordomain", header_scalar_or_none(c, "X-AuthorDomain"));
    if (conf_plugin(c->conf, "TextCat"))
        add_metadata(t, v, "x-languages", language_names(c));
    if (scanned)
        add_metadata(t, v, "x-senderdomain", header_scalar_or_none(c, "X-SenderDomain"));
    add_metadata(t, v, "x-spam-relays-external", r->external_text);
    add_metadata(t, v, "x-spam-relays-internal", r->internal_text);
    add_metadata(t, v, "x-spam-relays-trusted", r->trusted_text);
    add_metadata(t, v, "x-spam-relays-untrusted", r->untrusted_text);
}

static void read_fields(struct rules_ctx *c, struct learn_text *t)
{
    struct mime_fields *f = &c->mime->root->fields;
    struct learn_field *v = arena_array(c->a, f->n + 1, sizeof *v);
    bool *fits = arena_array(c->a, f->n + 1, sizeof *fits);
    header_measure(c, fits);
    t->fields = v;
    for (size_t i = 0; i < f->n; i++)
        if (fits[i])
            v[t->nfields++] = (struct learn_field){f->v[i].name, mime_decoded(c->mime, &f->v[i])};
}

static struct span part_digest(struct rules_ctx *c, struct mime_part *p)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned n = 0;
    struct span body = mime_body(c->mime, p);
    EVP_Digest(body.p ? body.p : "", body.n, digest, &n, EVP_sha1(), NULL);
    for (unsigned i = 0; i < n; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", digest[i]);
    return arena_printf(c->a, "%s:%.*s", hex, SPAN_ARG(p->type));
}

static void read_parts(struct rules_ctx *c, struct learn_text *t)
{
    size_t n = 0, cap = 0;
    struct span *v = NULL;
    for (struct mime_part *p = c->mime->root; p; p = mime_next(p))
        if (p->leaf)
            *ARENA_PUSH(c->a, v, n, cap) = part_digest(c, p);
    t->parts = v;
    t->nparts = n;
}

/* bayes_token_sources: which of the texts count. */
enum source {
    SOURCE_HEADER = 1,
    SOURCE_VISIBLE = 2,
    SOURCE_INVISIBLE = 4,
    SOURCE_URI = 8,
    SOURCE_MIMEPART = 16,
    SOURCES_DEFAULT = 15,
    SOURCES_ALL = 31
};

static unsigned sources(const struct conf *conf)
{
    static const struct {
        const char *name;
        unsigned bit;
    } names[] = {{"header", SOURCE_HEADER},       {"visible", SOURCE_VISIBLE},
                 {"invisible", SOURCE_INVISIBLE}, {"uri", SOURCE_URI},
                 {"mimepart", SOURCE_MIMEPART},   {"all", SOURCES_ALL}};
    struct span words = conf_value(conf, "bayes_token_sources", SPAN("")), w;
    unsigned bits = SOURCES_DEFAULT;
    while ((w = span_word(&words, " \t,")).p) {
        bool off = span_istarts(w, SPAN("no"));
        struct span name = span_from(w, off ? 2 : 0);
        if (span_ieq(w, SPAN("none")))
            bits = 0;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (span_ieq(name, span_str(names[i].name)))
                bits = off ? bits & ~names[i].bit : bits | names[i].bit;
    }
    return bits;
}

static void read_texts(struct rules_ctx *c, struct learn_text *t, bool scanned)
{
    unsigned from = sources(c->conf);
    struct lines lines;
    if (from & SOURCE_VISIBLE) {
        lines = text_visible(c->text);
        t->visible = lines.v;
        t->nvisible = lines.n;
    }
    if (from & SOURCE_INVISIBLE) {
        lines = text_invisible(c->text);
        t->invisible = lines.v;
        t->ninvisible = lines.n;
    }
    if (from & SOURCE_URI) {
        t->uris = c->text->uris.cleaned;
        t->nuris = c->text->uris.ncleaned;
    }
    if (from & SOURCE_MIMEPART)
        read_parts(c, t);
    if (from & SOURCE_HEADER) {
        read_fields(c, t);
        read_metadata(c, t, scanned);
    }
}

static struct bayes *state_of(struct rules_ctx *c)
{
    struct eval_state *s = eval_state(c);
    if (!s->bayes)
        s->bayes = ARENA_NEW(c->a, struct bayes);
    return s->bayes;
}

const struct bayes *bayes_tokens(struct rules_ctx *c, bool scanned)
{
    struct bayes *b = state_of(c);
    struct setup *setup = (struct setup *)plugin_has(c->conf, "Bayes");
    struct learn_text t = {0};
    if (b->tokenized || !setup)
        return b;
    b->tokenized = true;
    struct reader reader = {c, setup};
    struct learn_rules rules = {.words = words_of(setup),
                                .max_length = c->conf->bayes.max_token_length,
                                .stop = setup->nstop ? is_stopword : NULL,
                                .ignored = is_ignored,
                                .ctx = &reader};
    if (!rules.words)
        return b;
    read_texts(c, &t, scanned);
    b->tokens = learn_tokenize(c->a, &rules, &t);
    b->ids = learn_token_ids(c->a, &b->tokens);
    return b;
}

/* --- the probability --- */

bool bayes_available(const struct rules_ctx *c)
{
    const struct conf_bayes *set = &c->conf->bayes;
    struct learn_counts n;
    return c->m->learned && set->use_learner && set->use_bayes && set->use_rules &&
           conf_plugin(c->conf, "Bayes") && learn_counts(c->m->learned, c->m->learned_by, &n) &&
           n.spam >= set->min_spam && n.ham >= set->min_ham;
}

bool bayes_ignores(struct rules_ctx *c)
{
    size_t nfrom, nto;
    const struct conf_bayes *set = &c->conf->bayes;
    if (!set->ignore_from.n && !set->ignore_to.n)
        return false;
    const struct span *from = header_all_from(c, &nfrom), *to = header_all_to(c, &nto);
    for (size_t i = 0; i < nfrom; i++)
        if (globs_match(&set->ignore_from, arena_lower(c->a, from[i])))
            return true;
    for (size_t i = 0; i < nto; i++)
        if (globs_match(&set->ignore_to, arena_lower(c->a, to[i])))
            return true;
    return false;
}

static int by_strength(const void *x, const void *y)
{
    const struct bayes_token *a = x, *b = y;
    double sa = fabs(a->p - 0.5), sb = fabs(b->p - 0.5);
    return sa > sb ? -1 : sa < sb ? 1 : span_cmp(a->text, b->text);
}

/* Keeps the strongest, and of those the ones that say something. */
static void choose(struct bayes *b)
{
    qsort(b->v, b->n, sizeof *b->v, by_strength);
    if (b->n > LEARN_SIGNIFICANT)
        b->n = LEARN_SIGNIFICANT;
    while (b->n && fabs(b->v[b->n - 1].p - 0.5) < LEARN_STRENGTH)
        b->n--;
    for (size_t i = 0; i < b->n; i++) {
        b->spammy += b->v[i].p >= 0.5;
        b->hammy += b->v[i].p < 0.5;
    }
}

static bool weigh(struct rules_ctx *c, struct bayes *b)
{
    struct learn_counts n;
    size_t all = b->ids.n / LEARN_TOKEN_SIZE;
    struct learn_seen_token *seen = arena_array(c->a, all + 1, sizeof *seen);
    uint32_t least = conf_bool(c->conf, "bayes_use_hapaxes", true) ? 1 : 2;
    if (!learn_counts(c->m->learned, c->m->learned_by, &n) || !n.spam || !n.ham ||
        !learn_look_up(c->m->learned, c->m->learned_by, b->ids, seen))
        return false;
    b->spam = n.spam;
    b->ham = n.ham;
    b->v = arena_array(c->a, all + 1, sizeof *b->v);
    for (size_t i = 0; i < all; i++) {
        if (seen[i].spam + (uint64_t)seen[i].ham < least)
            continue;
        b->known++;
        struct bayes_token *t = &b->v[b->n++];
        memcpy(t->id, b->tokens.v[i].id, LEARN_TOKEN_SIZE);
        t->text = b->tokens.v[i].text;
        t->p = learn_probability(seen[i].spam, seen[i].ham, n.spam, n.ham);
        t->seen = seen[i];
    }
    choose(b);
    return b->n > 0;
}

/* --- tags --- */

static void tag_number(struct rules_ctx *c, const char *name, size_t n)
{
    plugin_tag(c, name, arena_printf(c->a, "%zu", n));
}

/* The five strongest of a side: "0.998-+--token". */
static struct span told_tokens(struct rules_ctx *c, const struct bayes *b, bool spammy)
{
    enum { TOLD = 5, DIGIT_MAX = 9 };
    struct span out = SPAN("");
    for (size_t i = 0, told = 0; i < b->n && told < TOLD; i++) {
        const struct bayes_token *t = &b->v[i];
        if ((t->p >= 0.5) != spammy)
            continue;
        int d = learn_distance(b->spam, b->ham, t->seen.spam, t->seen.ham, t->p);
        char digit = d > DIGIT_MAX ? '+' : (char)('0' + d);
        out = arena_printf(c->a, "%.*s%s%.3f-%c--%.*s", SPAN_ARG(out), told ? ", " : "", t->p,
                           digit, SPAN_ARG(t->text));
        told++;
    }
    return out;
}

static void set_tags(struct rules_ctx *c, const struct bayes *b)
{
    size_t all = b->tokens.n;
    tag_number(c, "BAYESTC", all);
    tag_number(c, "BAYESTCLEARNED", b->known);
    tag_number(c, "BAYESTCSPAMMY", b->spammy);
    tag_number(c, "BAYESTCHAMMY", b->hammy);
    plugin_tag(c, "TOKENSUMMARY",
               arena_printf(c->a, "Tokens: new, %zu; hammy, %zu; neutral, %zu; spammy, %zu.",
                            all - b->known, b->hammy, b->known - b->spammy - b->hammy, b->spammy));
    plugin_tag(c, "HAMMYTOKENS", told_tokens(c, b, false));
    plugin_tag(c, "SPAMMYTOKENS", told_tokens(c, b, true));
    if (b->has_score)
        plugin_tag(c, "BAYES", arena_printf(c->a, "%3.4f", b->score));
}

static void combine(struct rules_ctx *c, struct bayes *b)
{
    double *p = arena_array(c->a, b->n, sizeof *p);
    for (size_t i = 0; i < b->n; i++)
        p[i] = b->v[i].p;
    b->score = learn_combine(b->spam, b->ham, p, b->n);
    b->has_score = !isnan(b->score);
}

const struct bayes *bayes_judge(struct rules_ctx *c)
{
    struct bayes *b = state_of(c);
    if (!b->judged) {
        b->judged = true;
        if (!bayes_ignores(c) && bayes_available(c)) {
            bayes_tokens(c, true);
            if (weigh(c, b))
                combine(c, b);
            if (c->scratch)
                set_tags(c, b);
        }
    }
    return b->has_score ? b : NULL;
}

static double check_bayes(struct rules_ctx *c, const struct eval_call *call)
{
    const struct bayes *b = bayes_judge(c);
    double least = eval_number(call, 0, 0), most = eval_number(call, 1, 1);
    return b && (least == 0 || b->score > least) && (eval_open(call, 1) || b->score <= most);
}

const struct eval_fn_def eval_bayes[] = {
    {"check_bayes", "Bayes", check_bayes, .types = EVAL_BODIES, .learn = true},
    {NULL},
};

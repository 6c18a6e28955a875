/* TextCat: in which language is the text written, and is that one a language this site reads?
 *
 * The text's most frequent sequences of one to five bytes, ranked, are compared with those of each
 * language; the distance is the sum of differences in rank (Cavnar and Trenkle's measure). The
 * models come with SpamAssassin, in one file: a sequence a line, most frequent first, "0 NAME"
 * behind each language. */
#include "rules/eval_state.h"

#include <stdlib.h>

#include "base/buf.h"
#include "rules/eval.h"
#include "rules/plugin.h"

enum {
    TEXT_MAX = 10000, /* bytes that are looked at */
    TEXT_MIN = 256,   /* fewer tell nothing */
    NGRAM_MAX = 5,
    SURE_BYTES = 1024, /* for each language that is found; with fewer, Scots may be English */
    TAG_LANGUAGES = 20
};

static const char *const model_files[] = {"/usr/share/spamassassin/languages",
                                          "/usr/local/share/spamassassin/languages"};

struct model {
    struct span name;   /* "fr.iso8859-1", "zh.big5" */
    struct span brief;  /* without what follows the first dot */
    struct span result; /* under which name it counts */
    struct map rank;    /* sequence -> its rank, from 1 */
};

struct language_settings {
    struct model *models;
    size_t n, cap;
    struct map skip; /* languages that are not tried */
    struct map ok;
    bool all_ok, any_8bit; /* ok_languages: all; one whose text has long runs of 8-bit bytes */
    size_t max_languages, optimal, max_ngrams;
    double acceptable;
};

struct languages {
    struct span *found;
    size_t n;
    size_t length; /* of the text, bytes */
    struct span names;
};

/* --- load --- */

static struct span until_dot(struct span s)
{
    size_t dot = span_find(s, '.');
    return dot == SIZE_MAX ? s : span_sub(s, 0, dot);
}

static void read_models(struct language_settings *s, struct arena *a, struct span text)
{
    struct map rank = map_in(a);
    uintptr_t next = 1;
    while (text.n) {
        size_t end = span_find(text, '\n');
        struct span line = span_sub(text, 0, end);
        text = end == SIZE_MAX ? SPAN_NONE : span_from(text, end + 1);
        if (!span_starts(line, SPAN("0 ")) || line.n < 3) {
            *map_at(&rank, line) = (void *)next++;
            continue;
        }
        struct model *m = ARENA_PUSH(a, s->models, s->n, s->cap);
        m->name = span_from(line, 2);
        m->brief = until_dot(m->name);
        size_t at = span_search(m->name, SPAN(".utf8"));
        m->result = at != SIZE_MAX && at > 0 ? m->brief : m->name;
        m->rank = rank;
        rank = map_in(a);
        next = 1;
    }
}

static void add_words(struct map *set, struct span words)
{
    struct span word;
    while ((word = span_word(&words, " \t")).p)
        *map_at(set, word) = set;
}

static bool has_8bit_text(struct span language)
{
    char word[8];
    if (language.n > 3)
        return false;
    word[0] = ' ';
    memcpy(word + 1, language.p, language.n);
    word[language.n + 1] = ' ';
    return span_search(SPAN(" am ar be bg cs el et fa fi he hi hy is ja ka ko mr pt ru ta th tr "
                            "uk vi yi zh "),
                       span_of(word, language.n + 2)) != SIZE_MAX;
}

static void read_settings(struct language_settings *s, const struct conf *conf)
{
    struct arena *a = conf->arena;
    s->skip = map_in(a);
    s->ok = map_in(a);
    struct span ok = conf->ok_languages.p ? conf->ok_languages : SPAN("all");
    add_words(&s->ok, ok);
    add_words(&s->skip, conf_value(conf, "inactive_languages",
                                   SPAN("bs cy eo et eu fy ga gd is la lt lv rm sa sco sl yi")));
    for (size_t i = 0; i < s->ok.n; i++) {
        struct span language = s->ok.entries[i].key;
        s->all_ok |= span_eq(language, SPAN("all"));
        s->any_8bit |= has_8bit_text(language);
        if (map_get(&s->skip, language))
            *map_at(&s->skip, language) = NULL;
    }
    s->max_languages = (size_t)conf_number(conf, "textcat_max_languages", 3);
    s->optimal = (size_t)conf_number(conf, "textcat_optimal_ngrams", 0);
    s->max_ngrams = (size_t)conf_number(conf, "textcat_max_ngrams", 400);
    s->acceptable = conf_number(conf, "textcat_acceptable_score", 1.02);
}

static int prepare(struct arena *a, const struct conf *conf, struct eval_call *call, struct err *e)
{
    void **slot = plugin_made(conf, "languages");
    struct language_settings *s = *slot;
    if (!s) {
        const struct language_settings *under =
            conf->under ? plugin_has(conf->under, "languages") : NULL;
        *slot = s = ARENA_NEW(a, struct language_settings);
        struct span text = SPAN_NONE;
        for (size_t i = 0; i < sizeof model_files / sizeof *model_files && !text.p && !under; i++)
            text = plugin_file(a, span_str(model_files[i]));
        if (under)
            *s = (struct language_settings){.models = under->models, .n = under->n};
        else if (text.p)
            read_models(s, a, text);
        read_settings(s, conf);
    }
    call->prepared = s;
    return s->n ? 0 : err_set(e, "the models of languages can't be read (%s)", model_files[0]);
}

/* --- one text --- */

struct ngram {
    struct span text;
    size_t count;
};

static bool is_separator(char c)
{
    return ascii_isdigit(c) || ascii_isspace(c) ||
           (c && strchr("-!\"#$%&()*+,./:;<=>?@[\\]^_`{|}~", c));
}

static bool is_letter(unsigned char c)
{
    return ascii_isalpha((char)c) ||
           (c >= 0xc0 && c != 0xd7 && c != 0xdf && c != 0xf7 && c != 0xff);
}

/* Lower case by Latin-1, but only words with a capital and four letters in a row. */
static void fold_word(char *p, size_t n)
{
    bool capital = false, run = false;
    size_t letters = 0;
    for (size_t i = 0; i < n; i++) {
        letters = is_letter((unsigned char)p[i]) ? letters + 1 : 0;
        run |= letters >= 4;
        capital |= p[i] >= 'A' && p[i] <= 'Z';
    }
    for (size_t i = 0; capital && run && i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7))
            p[i] = (char)(c | 0x20);
    }
}

static int by_count(const void *x, const void *y)
{
    const struct ngram *a = x, *b = y;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return span_cmp(a->text, b->text);
}

/* The ranked sequences of the text; words are framed by NULs. */
static struct ngram *rank_text(struct arena *a, struct span text, const struct language_settings *s,
                               size_t *n)
{
    struct map counts = map_in(a);
    for (size_t at = 0; at < text.n;) {
        size_t end = at;
        while (end < text.n && !is_separator(text.p[end]))
            end++;
        size_t len = end - at;
        if (!len) {
            at++;
            continue;
        }
        char *word = arena_alloc(a, len + 3); /* zeroed: the frame */
        memcpy(word + 1, text.p + at, len);
        fold_word(word + 1, len);
        for (size_t i = 0; i < len + 2; i++)
            for (size_t k = 1; k <= NGRAM_MAX && i + k <= len + 2; k++) {
                void **slot = map_at(&counts, span_of(word + i, k));
                *slot = (void *)((uintptr_t)*slot + 1);
            }
        at = end;
    }
    struct ngram *v = arena_array(a, counts.n + 1, sizeof *v);
    *n = 0;
    for (size_t i = 0; i < counts.n; i++) {
        struct ngram g = {counts.entries[i].key, (uintptr_t)counts.entries[i].value};
        if (g.count > s->optimal || !s->optimal)
            v[(*n)++] = g;
    }
    if (*n)
        qsort(v, *n, sizeof *v, by_count);
    if (*n > s->max_ngrams)
        *n = s->max_ngrams;
    return v;
}

static size_t distance(const struct model *m, const struct ngram *v, size_t n, size_t unknown)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        size_t rank = (uintptr_t)map_get(&m->rank, v[i].text);
        sum += !rank ? unknown : rank > i ? rank - i : i - rank;
    }
    return sum;
}

struct result {
    struct span language;
    size_t distance, at;
};

static int by_distance(const void *x, const void *y)
{
    const struct result *a = x, *b = y;
    if (a->distance != b->distance)
        return a->distance < b->distance ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* Several models of one language count as one, by the nearest. */
static void add_result(struct result *v, size_t *n, struct span language, size_t d)
{
    for (size_t i = 0; i < *n; i++)
        if (span_eq(v[i].language, language)) {
            v[i].distance = d < v[i].distance ? d : v[i].distance;
            return;
        }
    v[*n] = (struct result){language, d, *n};
    ++*n;
}

static void tag_results(struct rules_ctx *c, const struct result *v, size_t n)
{
    struct buf b = {0};
    for (size_t i = 0; i < n && i < TAG_LANGUAGES; i++) {
        buf_printf(&b, "%s%.*s:%zu", i ? " " : "", SPAN_ARG(v[i].language), v[i].distance);
        if (v[0].distance)
            buf_printf(&b, "(%.02f)", (double)v[i].distance / (double)v[0].distance);
        else
            buf_str(&b, "(unknown)");
    }
    plugin_tag(c, "TEXTCATRESULTS", arena_dup(c->a, buf_span(&b)));
    buf_free(&b);
}

static void classify(struct rules_ctx *c, const struct language_settings *s, struct span text,
                     struct languages *out)
{
    size_t n, found = 0;
    const struct ngram *grams = rank_text(c->a, text, s, &n);
    struct result *v = arena_array(c->a, s->n + 1, sizeof *v);
    for (size_t i = 0; i < s->n; i++)
        if (!map_get(&s->skip, s->models[i].brief))
            add_result(v, &found, s->models[i].result,
                       distance(&s->models[i], grams, n, s->max_ngrams));
    if (!found)
        return;
    qsort(v, found, sizeof *v, by_distance);
    tag_results(c, v, found);
    size_t near = 1;
    while (near < found && (double)v[near].distance < s->acceptable * (double)v[0].distance)
        near++;
    if (near > s->max_languages)
        return;
    out->found = arena_array(c->a, near, sizeof *out->found);
    for (size_t i = 0; i < near; i++)
        out->found[out->n++] = v[i].language;
}

/* --- what of the message is text --- */

struct stripping {
    const struct regex *prefixes, *links, *mail, *hosts;
};

static int prepare_stripping(struct arena *a, struct stripping *s, struct err *e)
{
    s->prefixes = regex_new(a, SPAN("^(?:[a-z]{2,12}:\\s*){1,10}"), SPAN("i"), e);
    s->links =
        regex_new(a, SPAN("https?(?::(?://|&#x2F;&#x2F;)|%3A%2F%2F)\\S{1,1024}"), SPAN_NONE, e);
    s->mail = regex_new(a, SPAN("\\S{1,64}?@[a-zA-Z]\\S{1,128}"), SPAN_NONE, e);
    s->hosts = regex_new(a, SPAN("\\bwww\\.\\S{1,128}"), SPAN_NONE, e);
    return s->prefixes && s->links && s->mail && s->hosts ? 0 : -1;
}

/* Each match becomes `with`. */
static struct span replaced(struct arena *a, struct span s, const struct regex *re,
                            const char *with, bool once)
{
    struct buf b = {0};
    struct regex_match m;
    size_t at = 0;
    while (at < s.n && regex_exec(re, s, at, &m) == 1 && m.end > m.start) {
        buf_add(&b, span_sub(s, at, m.start));
        buf_str(&b, with);
        at = m.end;
        if (once)
            break;
    }
    struct span out = s;
    if (at) {
        buf_add(&b, span_from(s, at));
        out = arena_dup(a, buf_span(&b));
    }
    buf_free(&b);
    return out;
}

static struct span text_of(struct rules_ctx *c, const struct stripping *s)
{
    struct buf b = {0};
    for (size_t i = 0; i < c->text->body.n; i++) {
        if (i)
            buf_char(&b, '\n');
        buf_add(&b, c->text->body.v[i]);
    }
    struct span text = arena_dup(c->a, buf_span(&b));
    buf_free(&b);
    text = replaced(c->a, text, s->prefixes, "", true);
    text = replaced(c->a, text, s->links, " ", false);
    text = replaced(c->a, text, s->mail, " ", false);
    text = replaced(c->a, text, s->hosts, " ", false);
    return span_sub(text, 0, TEXT_MAX);
}

struct language_call {
    const struct language_settings *settings;
    struct stripping stripping;
};

static int prepare_language(struct arena *a, const struct conf *conf, struct eval_call *call,
                            struct err *e)
{
    void **slot = plugin_made(conf, "textcat");
    struct language_call *l = *slot;
    if (!l) {
        l = ARENA_NEW(a, struct language_call);
        if (prepare(a, conf, call, e) != 0 || prepare_stripping(a, &l->stripping, e) != 0)
            return -1;
        l->settings = call->prepared;
        *plugin_made(conf, "textcat") = l;
    }
    call->prepared = l;
    return 0;
}

static const struct languages *languages(struct rules_ctx *c, const struct language_call *l)
{
    struct eval_state *s = eval_state(c);
    if (s->languages)
        return s->languages;
    s->languages = ARENA_NEW(c->a, struct languages);
    struct span text = text_of(c, &l->stripping);
    s->languages->length = text.n;
    if (text.n >= TEXT_MIN)
        classify(c, l->settings, text, s->languages);
    struct buf b = {0};
    for (size_t i = 0; i < s->languages->n; i++)
        buf_printf(&b, "%s%.*s", i ? " " : "", SPAN_ARG(s->languages->found[i]));
    s->languages->names = arena_dup(c->a, buf_span(&b));
    plugin_tag(c, "LANGUAGES", s->languages->names);
    buf_free(&b);
    return s->languages;
}

void language_extract(struct rules_ctx *c)
{
    const struct language_call *l = plugin_has(c->conf, "textcat");
    if (l)
        languages(c, l);
}

struct span language_names(struct rules_ctx *c)
{
    const struct languages *l = eval_state(c)->languages;
    return l ? l->names : SPAN_NONE;
}

/* --- the functions --- */

static struct span mistaken(struct span language, bool unsure)
{
    return unsure && span_eq(language, SPAN("sco")) ? SPAN("en") : language;
}

static double check_language(struct rules_ctx *c, const struct eval_call *call)
{
    const struct language_call *l = call->prepared;
    const struct language_settings *s = l->settings;
    if (s->all_ok)
        return 0;
    const struct languages *found = languages(c, l);
    bool unsure = found->length < SURE_BYTES * found->n;
    for (size_t i = 0; i < found->n; i++) {
        struct span language = mistaken(until_dot(found->found[i]), unsure);
        for (size_t k = 0; k < s->ok.n; k++)
            if (span_eq(language, mistaken(s->ok.entries[k].key, unsure)))
                return 0;
    }
    return found->n > 0;
}

enum { RUN_8BIT = 8 };

static double check_body_8bits(struct rules_ctx *c, const struct eval_call *call)
{
    const struct language_settings *s = call->prepared;
    const struct lines *lines = call->type == EVAL_RAWBODY ? &c->text->rawbody : &c->text->body;
    if (s->all_ok || s->any_8bit)
        return 0;
    for (size_t i = 0; i < lines->n; i++) {
        size_t run = 0;
        for (size_t k = 0; k < lines->v[i].n; k++) {
            run = (unsigned char)lines->v[i].p[k] >= 0x80 ? run + 1 : 0;
            if (run == RUN_8BIT)
                return 1;
        }
    }
    return 0;
}

const struct eval_fn_def eval_language[] = {
    {"check_language", "TextCat", check_language, .prepare = prepare_language},
    {"check_body_8bits", "TextCat", check_body_8bits, .types = EVAL_BODIES, .prepare = prepare},
    {NULL},
};

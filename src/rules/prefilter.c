#include "rules/prefilter.h"

#include <stdlib.h>

#include <hs/hs.h>

#include "base/map.h"
#include "base/xalloc.h"
#include "rules/need.h"
#include "rules/shiftand.h"

enum {
    LITERAL_MIN = 3, /* shorter ones are left to the automaton */
    VARIANTS = 4,    /* spellings of one run that are still worth literals */
    WINDOW = 6,      /* items of a run in the automaton */
    FORMAT = 2
};
/* Expected times in a kilobyte above which a group tells nothing. */
static const double USELESS = 30;
/* A literal costs less than a run in the automaton: taken unless that is this much rarer. */
static const double LITERAL_BONUS = 200;

struct user {
    uint32_t pattern; /* local number */
    uint16_t group;   /* below NEED_GROUPS */
    uint16_t times;   /* at how many places; 1 for runs, which are not counted */
};

struct prefilter {
    size_t n;         /* patterns with needs */
    uint32_t *id;     /* by local number */
    uint32_t *full;   /* all group bits of the pattern */
    uint32_t *always; /* ids of patterns without needs */
    size_t nalways;
    /* Features: literals, then runs. Users of feature f: users[start[f]] ... users[start[f + 1]].
     */
    size_t nliterals, nruns, nusers;
    uint32_t *start;
    struct user *users;
    bool *counted;           /* by literal: some user wants to know how many */
    hs_database_t *literals; /* NULL: none */
    struct shiftand *runs;
};

static void release(void *p)
{
    hs_free_database(((struct prefilter *)p)->literals);
}

/* --- building --- */

struct feature {
    struct span text; /* a literal */
    bool caseless;
    struct run run; /* or a run */
    struct user *users;
    size_t nusers, cap;
};

struct features {
    struct feature *v;
    size_t n, cap;
    struct map index; /* key -> number + 1 */
};

struct builder {
    struct arena *a; /* scratch */
    struct byteset_table sets;
    struct features literals, runs;
};

static struct feature *feature_at(struct builder *b, struct features *f, struct span key)
{
    void **slot = map_at(&f->index, key);
    if (!*slot) {
        (void)ARENA_PUSH(b->a, f->v, f->n, f->cap);
        *slot = (void *)(uintptr_t)f->n;
    }
    return &f->v[(uintptr_t)*slot - 1];
}

static void add_user(struct builder *b, struct feature *f, struct user u)
{
    if (f->nusers && f->users[f->nusers - 1].pattern == u.pattern &&
        f->users[f->nusers - 1].group == u.group)
        return;
    *ARENA_PUSH(b->a, f->users, f->nusers, f->cap) = u;
}

/* The bytes of a set, lower case of a pair standing for both; 0 when there are too many. */
static size_t set_bytes(const struct byteset *s, char *out, size_t max, bool *caseless, bool *exact)
{
    size_t n = 0;
    for (unsigned c = 0; c < 256; c++) {
        if (!byteset_has(s, (unsigned char)c))
            continue;
        bool letter = ascii_isalpha((char)c);
        bool pair = letter && byteset_has(s, (unsigned char)(c ^ 0x20));
        if (letter && !pair)
            *exact = true;
        if (pair)
            *caseless = true;
        if (pair && c < 'a')
            continue;
        if (n == max)
            return 0;
        out[n++] = (char)c;
    }
    return n;
}

struct spelling {
    char text[VARIANTS][RUN_ITEMS];
    size_t n, len;
    bool caseless;
};

/* All spellings of items [from, to) when they are few; letters are either all caseless or all exact
 * (a mixture is taken as caseless, which only lets more through). */
static bool spell(const struct builder *b, const struct run *r, size_t from, size_t to,
                  struct spelling *out)
{
    bool exact = false;
    *out = (struct spelling){.n = 1, .len = to - from};
    for (size_t i = from; i < to; i++) {
        char bytes[VARIANTS];
        size_t k = set_bytes(&b->sets.v[r->set[i]], bytes, VARIANTS, &out->caseless, &exact);
        if (k == 0 || out->n * k > VARIANTS || (i + 1 < to && r->loop[i]))
            return false;
        for (size_t v = out->n; v-- > 0;)
            for (size_t j = k; j-- > 0;) {
                memmove(out->text[v + j * out->n], out->text[v], i - from);
                out->text[v + j * out->n][i - from] = bytes[j];
            }
        out->n *= k;
    }
    return true;
}

static double cost_of(const struct builder *b, const struct run *r, size_t from, size_t to)
{
    double p = 1000;
    for (size_t i = from; i < to; i++) {
        p *= b->sets.share[r->set[i]];
        if (i + 1 < to && r->loop[i])
            p *= 1 + 4 * b->sets.share[r->loop[i]];
    }
    return p;
}

/* What a run is found by: its best literal stretch, or its best window. */
struct choice {
    bool literal;
    size_t from, to;
    double cost;
};

static struct choice choose(const struct builder *b, const struct run *r)
{
    struct choice lit = {.cost = 1e9, .literal = true}, win = {.cost = 1e9};
    struct spelling sp;
    for (size_t from = 0; from < r->n; from++)
        for (size_t to = from + LITERAL_MIN; to <= r->n; to++) {
            if (!spell(b, r, from, to, &sp))
                break;
            double c = cost_of(b, r, from, to);
            if (c < lit.cost) {
                lit.cost = c;
                lit.from = from;
                lit.to = to;
            }
        }
    size_t len = r->n < WINDOW ? r->n : WINDOW;
    for (size_t from = 0; from + len <= r->n; from++) {
        double c = cost_of(b, r, from, from + len);
        if (c < win.cost) {
            win.cost = c;
            win.from = from;
            win.to = from + len;
        }
    }
    return lit.cost < win.cost * LITERAL_BONUS ? lit : win;
}

static void add_literals(struct builder *b, const struct run *r, const struct choice *c,
                         struct user u)
{
    struct spelling sp;
    spell(b, r, c->from, c->to, &sp);
    for (size_t i = 0; i < sp.n; i++) {
        char key[RUN_ITEMS + 1];
        key[0] = (char)sp.caseless;
        for (size_t k = 0; k < sp.len; k++)
            key[k + 1] = sp.caseless ? ascii_lower(sp.text[i][k]) : sp.text[i][k];
        struct span own = arena_dup(b->a, span_of(key, sp.len + 1));
        struct feature *f = feature_at(b, &b->literals, own);
        f->text = span_from(own, 1);
        f->caseless = sp.caseless;
        add_user(b, f, u);
    }
}

static void add_window(struct builder *b, const struct run *r, const struct choice *c,
                       struct user u)
{
    u.times = 1;
    struct run w = {.n = (uint16_t)(c->to - c->from)};
    memcpy(w.set, r->set + c->from, w.n * sizeof *w.set);
    memcpy(w.loop, r->loop + c->from, w.n * sizeof *w.loop);
    w.loop[w.n - 1] = 0;
    struct span key = arena_dup(b->a, span_of((const char *)&w, sizeof w));
    struct feature *f = feature_at(b, &b->runs, key);
    f->run = w;
    add_user(b, f, u);
}

static double group_cost(const struct builder *b, const struct runs *g)
{
    double cost = 0;
    for (size_t i = 0; i < g->n; i++)
        cost += choose(b, &g->v[i]).cost;
    return g->times > 1 ? cost / g->times : cost;
}

/* Adds the useful groups of a pattern; the bits of them, 0 when there is none. */
static uint32_t add_pattern(struct builder *b, const struct need *need, uint32_t pattern)
{
    uint32_t bits = 0;
    for (size_t g = 0; g < need->ngroups; g++) {
        if (group_cost(b, &need->groups[g]) > USELESS)
            continue;
        struct user u = {pattern, (uint16_t)g,
                         (uint16_t)(need->groups[g].times ? need->groups[g].times : 1)};
        for (size_t i = 0; i < need->groups[g].n; i++) {
            const struct run *r = &need->groups[g].v[i];
            struct choice c = choose(b, r);
            if (c.literal)
                add_literals(b, r, &c, u);
            else
                add_window(b, r, &c, u);
        }
        bits |= 1u << g;
    }
    return bits;
}

static void copy_users(struct prefilter *f, struct arena *a, const struct builder *b)
{
    const struct features *both[] = {&b->literals, &b->runs};
    f->nliterals = b->literals.n;
    f->nruns = b->runs.n;
    f->start = arena_array(a, f->nliterals + f->nruns + 1, sizeof *f->start);
    size_t at = 0, k = 0;
    for (int i = 0; i < 2; i++)
        for (size_t j = 0; j < both[i]->n; j++)
            f->nusers += both[i]->v[j].nusers;
    f->users = arena_array(a, f->nusers + 1, sizeof *f->users);
    for (int i = 0; i < 2; i++)
        for (size_t j = 0; j < both[i]->n; j++) {
            f->start[k++] = (uint32_t)at;
            for (size_t u = 0; u < both[i]->v[j].nusers; u++)
                f->users[at++] = both[i]->v[j].users[u];
        }
    f->start[k] = (uint32_t)at;
}

static void note_counted(struct prefilter *f, struct arena *a)
{
    f->counted = arena_array(a, f->nliterals + 1, sizeof *f->counted);
    for (size_t i = 0; i < f->nliterals; i++)
        for (uint32_t u = f->start[i]; u < f->start[i + 1]; u++)
            f->counted[i] |= f->users[u].times > 1;
}

static void compile_literals(struct prefilter *f, struct builder *b)
{
    size_t n = b->literals.n;
    if (n == 0)
        return;
    const char **text = arena_array(b->a, n, sizeof *text);
    unsigned *flags = arena_array(b->a, n, sizeof *flags), *ids = arena_array(b->a, n, sizeof *ids);
    size_t *len = arena_array(b->a, n, sizeof *len);
    for (size_t i = 0; i < n; i++) {
        const struct feature *lit = &b->literals.v[i];
        text[i] = lit->text.p;
        len[i] = lit->text.n;
        flags[i] = lit->caseless ? HS_FLAG_CASELESS : 0;
        ids[i] = (unsigned)i;
    }
    hs_compile_error_t *e = NULL;
    if (hs_compile_lit_multi(text, flags, ids, len, (unsigned)n, HS_MODE_BLOCK, NULL, &f->literals,
                             &e) != HS_SUCCESS) {
        hs_free_compile_error(e);
        f->literals = NULL;
    }
}

/* Without its literals the filter would miss: every pattern is tried then. */
static void all_always(struct prefilter *f, struct arena *a)
{
    f->always = arena_grow(a, f->always, f->nalways * sizeof *f->always,
                           (f->nalways + f->n) * sizeof *f->always);
    for (size_t i = 0; i < f->n; i++)
        f->always[f->nalways++] = f->id[i];
    f->n = f->nliterals = f->nruns = 0;
    f->runs = NULL;
}

struct prefilter *prefilter_build(struct arena *a, const struct prefilter_pattern *p, size_t n)
{
    struct prefilter *f = ARENA_NEW(a, struct prefilter);
    struct builder b = {.a = arena_new(0)};
    byteset_table_init(&b.sets, b.a);
    b.literals.index = map_in(b.a);
    b.runs.index = map_in(b.a);
    f->id = arena_array(a, n + 1, sizeof *f->id);
    f->full = arena_array(a, n + 1, sizeof *f->full);
    f->always = arena_array(a, n + 1, sizeof *f->always);
    for (size_t i = 0; i < n; i++) {
        struct need need = need_of(&b.sets, b.a, p[i].pattern);
        uint32_t bits = add_pattern(&b, &need, (uint32_t)f->n);
        if (bits) {
            f->id[f->n] = p[i].id;
            f->full[f->n++] = bits;
        } else {
            f->always[f->nalways++] = p[i].id;
        }
    }
    copy_users(f, a, &b);
    note_counted(f, a);
    compile_literals(f, &b);
    struct run *runs = arena_array(b.a, b.runs.n + 1, sizeof *runs);
    for (size_t i = 0; i < b.runs.n; i++)
        runs[i] = b.runs.v[i].run;
    f->runs = shiftand_build(a, &b.sets, runs, b.runs.n);
    if (f->nliterals && !f->literals)
        all_always(f, a);
    arena_defer(a, release, f);
    arena_free(b.a);
    return f;
}

const uint32_t *prefilter_always(const struct prefilter *f, size_t *n)
{
    *n = f->nalways;
    return f->always;
}

void prefilter_describe(const struct prefilter *f, FILE *out)
{
    fprintf(out, "%zu filtered, %zu always, %zu literals, %zu runs in %zu words\n", f->n,
            f->nalways, f->nliterals, f->nruns, f->runs ? f->runs->words : 0);
}

/* --- scanning --- */

struct found {
    uint64_t end;
    uint32_t literal;
};

struct prefilter_scratch {
    hs_scratch_t *hs;
    struct found *found;
    size_t nfound, found_cap;
    struct candidate *out;
    size_t nout, out_cap;
    uint32_t *seen;           /* by feature: the last element + 1 */
    uint32_t *element, *bits; /* by pattern: element + 1 and its groups found there */
    uint8_t *count;           /* by pattern and group: places found in that element */
    size_t features, patterns;
    struct buf joined;
    uint64_t *ended;
    size_t ended_cap;
};

struct prefilter_scratch *prefilter_scratch_new(void)
{
    return xcalloc(1, sizeof(struct prefilter_scratch));
}

void prefilter_scratch_fit(struct prefilter_scratch *s, const struct prefilter *f)
{
    if (f->literals && hs_alloc_scratch(f->literals, &s->hs) != HS_SUCCESS)
        abort();
    if (f->nliterals + f->nruns > s->features) {
        s->features = f->nliterals + f->nruns;
        s->seen = xrealloc(s->seen, s->features * sizeof *s->seen);
    }
    if (f->n > s->patterns) {
        s->patterns = f->n;
        s->element = xrealloc(s->element, s->patterns * sizeof *s->element);
        s->bits = xrealloc(s->bits, s->patterns * sizeof *s->bits);
        s->count = xrealloc(s->count, s->patterns * NEED_GROUPS);
    }
    size_t words = f->runs ? f->runs->words : 0;
    if (words > s->ended_cap) {
        s->ended_cap = words;
        s->ended = xrealloc(s->ended, words * sizeof *s->ended);
    }
}

void prefilter_scratch_free(struct prefilter_scratch *s)
{
    if (!s)
        return;
    hs_free_scratch(s->hs);
    free(s->found);
    free(s->out);
    free(s->seen);
    free(s->element);
    free(s->bits);
    free(s->count);
    free(s->ended);
    buf_free(&s->joined);
    free(s);
}

static int on_literal(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                      void *ctx)
{
    struct prefilter_scratch *s = ctx;
    (void)from, (void)flags;
    if (s->nfound == s->found_cap) {
        s->found_cap = s->found_cap ? 2 * s->found_cap : 1024;
        s->found = xrealloc(s->found, s->found_cap * sizeof *s->found);
    }
    s->found[s->nfound++] = (struct found){to, id};
    return 0;
}

static int by_end(const void *x, const void *y)
{
    uint64_t a = ((const struct found *)x)->end, b = ((const struct found *)y)->end;
    return a < b ? -1 : a > b;
}

/* All literals in all elements, by place. The elements are joined by LF for one scan; a literal
 * that spans two of them is a false alarm and no more. */
static void find_literals(const struct prefilter *f, struct prefilter_scratch *s,
                          const struct span *elements, size_t n)
{
    struct span text = elements[0];
    s->nfound = 0;
    if (!f->literals)
        return;
    if (n > 1) {
        buf_clear(&s->joined);
        for (size_t i = 0; i < n; i++) {
            buf_add(&s->joined, elements[i]);
            buf_char(&s->joined, '\n');
        }
        text = buf_span(&s->joined);
    }
    /* Vectorscan takes 32-bit lengths; longer texts in pieces that overlap by a literal's length.
     */
    const size_t piece = (size_t)1 << 30;
    for (size_t at = 0; at < text.n; at += piece - 2 * RUN_ITEMS) {
        struct span part = span_sub(text, at, at + piece);
        size_t before = s->nfound;
        if (part.n)
            hs_scan(f->literals, part.p, (unsigned)part.n, 0, s->hs, on_literal, s);
        for (size_t i = before; at && i < s->nfound; i++)
            s->found[i].end += at;
    }
    for (size_t i = 1; i < s->nfound; i++)
        if (s->found[i].end < s->found[i - 1].end) {
            qsort(s->found, s->nfound, sizeof *s->found, by_end);
            break;
        }
}

static void add_candidate(struct prefilter_scratch *s, uint32_t id, uint32_t element)
{
    if (s->nout == s->out_cap) {
        s->out_cap = s->out_cap ? 2 * s->out_cap : 256;
        s->out = xrealloc(s->out, s->out_cap * sizeof *s->out);
    }
    s->out[s->nout++] = (struct candidate){id, element};
}

static void feature_seen(const struct prefilter *f, struct prefilter_scratch *s, size_t feature,
                         uint32_t element)
{
    bool counted = feature < f->nliterals && f->counted[feature];
    if (s->seen[feature] == element + 1 && !counted)
        return;
    s->seen[feature] = element + 1;
    for (uint32_t i = f->start[feature]; i < f->start[feature + 1]; i++) {
        const struct user *u = &f->users[i];
        uint32_t p = u->pattern;
        if (s->element[p] != element + 1) {
            s->element[p] = element + 1;
            s->bits[p] = 0;
            memset(s->count + p * NEED_GROUPS, 0, NEED_GROUPS);
        }
        if (s->bits[p] == f->full[p] ||
            (u->times > 1 && ++s->count[p * NEED_GROUPS + u->group] < u->times))
            continue;
        s->bits[p] |= 1u << u->group;
        if (s->bits[p] == f->full[p])
            add_candidate(s, f->id[p], element);
    }
}

static void find_runs(const struct prefilter *f, struct prefilter_scratch *s, struct span text,
                      uint32_t element)
{
    if (!f->nruns || !shiftand_scan(f->runs, text, s->ended))
        return;
    for (size_t w = 0; w < f->runs->words; w++)
        for (uint64_t bits = s->ended[w]; bits; bits &= bits - 1) {
            size_t bit = w * 64 + (size_t)__builtin_ctzll(bits);
            feature_seen(f, s, f->nliterals + f->runs->run_of[bit], element);
        }
}

const struct candidate *prefilter_scan(const struct prefilter *f, struct prefilter_scratch *s,
                                       const struct span *elements, size_t n, size_t *found)
{
    s->nout = 0;
    *found = 0;
    if (n == 0 || f->n == 0 || n >= UINT32_MAX)
        return s->out;
    memset(s->seen, 0, (f->nliterals + f->nruns) * sizeof *s->seen);
    memset(s->element, 0, f->n * sizeof *s->element);
    find_literals(f, s, elements, n);
    size_t k = 0;
    uint64_t end = 0;
    for (uint32_t i = 0; i < n; i++) {
        end += elements[i].n + 1;
        for (; k < s->nfound && s->found[k].end <= end; k++)
            feature_seen(f, s, s->found[k].literal, i);
        find_runs(f, s, elements[i], i);
    }
    *found = s->nout;
    return s->out;
}

/* --- the cache --- */

static void save_array(struct buf *out, const void *v, size_t n, size_t size)
{
    buf_add(out, span_of(v ? v : "", n * size));
}

void prefilter_save(const struct prefilter *f, struct buf *out)
{
    char *db = NULL;
    size_t size = 0;
    if (f->literals && hs_serialize_database(f->literals, &db, &size) != HS_SUCCESS)
        size = 0;
    buf_u32(out, FORMAT);
    buf_u64(out, f->n);
    buf_u64(out, f->nalways);
    buf_u64(out, f->nliterals);
    buf_u64(out, f->nruns);
    buf_u64(out, f->nusers);
    save_array(out, f->id, f->n, sizeof *f->id);
    save_array(out, f->full, f->n, sizeof *f->full);
    save_array(out, f->always, f->nalways, sizeof *f->always);
    save_array(out, f->start, f->nliterals + f->nruns + 1, sizeof *f->start);
    save_array(out, f->users, f->nusers, sizeof *f->users);
    buf_lstr(out, span_of(db ? db : "", size));
    buf_u8(out, f->runs != NULL);
    if (f->runs)
        shiftand_save(f->runs, out);
    free(db);
}

static void *load_array(struct arena *a, struct cursor *in, size_t n, size_t size)
{
    if (n > in->rest.n / size) {
        in->failed = true;
        return NULL;
    }
    void *v = arena_array(a, n + 1, size);
    struct span s = cursor_bytes(in, n * size);
    if (s.n)
        memcpy(v, s.p, s.n);
    return v;
}

/* Numbers of a damaged cache must not lead outside the arrays. */
static bool consistent(const struct prefilter *f, size_t ids)
{
    size_t features = f->nliterals + f->nruns;
    if (f->start[features] != f->nusers || (f->nliterals && !f->literals) || (f->nruns && !f->runs))
        return false;
    for (size_t i = 0; i < features; i++)
        if (f->start[i] > f->start[i + 1])
            return false;
    for (size_t i = 0; i < f->nusers; i++)
        if (f->users[i].pattern >= f->n || f->users[i].group >= NEED_GROUPS ||
            f->users[i].times > UINT8_MAX)
            return false;
    for (size_t i = 0; i < f->n; i++)
        if (f->id[i] >= ids)
            return false;
    for (size_t i = 0; i < f->nalways; i++)
        if (f->always[i] >= ids)
            return false;
    for (size_t i = 0; f->runs && i < f->runs->words * 64; i++)
        if (f->runs->run_of[i] >= f->nruns && f->nruns)
            return false;
    return true;
}

struct prefilter *prefilter_load(struct arena *a, size_t ids, struct cursor *in)
{
    struct prefilter *f = ARENA_NEW(a, struct prefilter);
    if (cursor_u32(in) != FORMAT)
        in->failed = true;
    f->n = cursor_u64(in);
    f->nalways = cursor_u64(in);
    f->nliterals = cursor_u64(in);
    f->nruns = cursor_u64(in);
    f->nusers = cursor_u64(in);
    if (in->failed || f->nliterals > UINT32_MAX || f->nruns > UINT32_MAX)
        return NULL;
    f->id = load_array(a, in, f->n, sizeof *f->id);
    f->full = load_array(a, in, f->n, sizeof *f->full);
    f->always = load_array(a, in, f->nalways, sizeof *f->always);
    f->start = load_array(a, in, f->nliterals + f->nruns + 1, sizeof *f->start);
    f->users = load_array(a, in, f->nusers, sizeof *f->users);
    struct span db = cursor_lstr(in);
    bool runs = cursor_u8(in);
    if (in->failed)
        return NULL;
    arena_defer(a, release, f);
    if (db.n && hs_deserialize_database(db.p, db.n, &f->literals) != HS_SUCCESS)
        return NULL;
    f->runs = runs ? shiftand_load(a, in) : NULL;
    if (in->failed || !consistent(f, ids))
        return NULL;
    note_counted(f, a);
    return f;
}

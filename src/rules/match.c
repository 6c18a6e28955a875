/* Regex rules on their strings (semantics 7.2, 7.3, 7.5). */
#include "rules/ruleset_private.h"

#include "base/buf.h"
#include "base/xalloc.h"
#include "pattern/automaton.h"

enum { EVIDENCE_MAX = 200 };

static struct span evidence(struct rules_ctx *c, struct span s, const struct regex_match *m)
{
    size_t n = m->end - m->start;
    return arena_dup(c->a, span_sub(s, m->start, m->start + (n < EVIDENCE_MAX ? n : EVIDENCE_MAX)));
}

/* --- captures --- */

static bool tag_name(struct span name)
{
    for (size_t i = 0; i < name.n; i++) {
        bool ok = (name.p[i] >= 'A' && name.p[i] <= 'Z') || ascii_isdigit(name.p[i]) ||
                  (name.p[i] == '_' && i && i + 1 < name.n && name.p[i - 1] != '_');
        if (!ok || (i == 0 && ascii_isdigit(name.p[i])))
            return false;
    }
    return name.n > 0;
}

static void add_tag(struct rules_ctx *c, struct span name, struct span value)
{
    void **slot = map_at(&c->scratch->tags, name);
    if (!*slot)
        *slot = ARENA_NEW(c->a, struct tag_values);
    struct tag_values *t = *slot;
    for (size_t i = 0; i < t->n; i++)
        if (span_eq(t->v[i], value))
            return;
    *ARENA_PUSH(c->a, t->v, t->n, t->cap) = value;
}

static void capture(struct rules_ctx *c, const struct rule *r, struct span s,
                    const struct regex_match *m)
{
    struct span name;
    unsigned group;
    for (size_t i = 0; (group = regex_named_group(r->regex, i, &name)) != 0; i++) {
        if (group >= REGEX_GROUPS || m->group[group].start == SIZE_MAX || !tag_name(name))
            continue;
        struct span value = span_sub(s, m->group[group].start, m->group[group].end);
        if (value.n)
            add_tag(c, name, arena_dup(c->a, value));
    }
}

/* --- one rule --- */

/* Counts matches of one string that begin at `from` or behind. true: the rule is done. */
static bool match_one(struct rules_ctx *c, struct rule *r, const struct regex *re, struct span s,
                      size_t from)
{
    struct regex_match m;
    int rc;
    from = from && regex_is_bound(re) ? 0 : from;
    while ((rc = regex_exec(re, s, from, &m)) == 1) {
        if (r->def->captures)
            capture(c, r, s, &m);
        if (!c->scratch->count[r->index] || r->multiple)
            hit_add(c, r, 1, c->scratch->count[r->index] ? SPAN_NONE : evidence(c, s, &m));
        if (r->multiple && !r->def->captures && regex_counts(re)) {
            unsigned known = c->scratch->count[r->index];
            size_t most = !r->maxhits ? s.n : r->maxhits > known ? r->maxhits - known : 0;
            hit_more(c, r, regex_count(re, s, m.end, most));
            return r->maxhits && c->scratch->count[r->index] >= r->maxhits;
        }
        if (!r->multiple || (r->maxhits && c->scratch->count[r->index] >= r->maxhits))
            return true;
        /* Perl's //g: after an empty match the next one may not be empty at the same place. */
        from = m.end > m.start || m.end > from ? m.end : from + 1;
        if (m.end == m.start && m.end >= from)
            from = m.end + 1;
        if (from > s.n)
            break;
    }
    if (rc < 0)
        hit_limited(c, r);
    return false;
}

static void with_quoted(struct buf *b, struct span value)
{
    for (size_t i = 0; i < value.n; i++) {
        char ch = value.p[i];
        if (!ascii_isalnum(ch) && ch != '_' && ch != '\0')
            buf_char(b, '\\');
        if (ch == '\0')
            buf_str(b, "\\x00");
        else
            buf_char(b, ch);
    }
}

/* The pattern with each %\{NAME\} replaced by the alternatives captured; NULL: some tag has no
 * value, the rule is not run. */
static struct regex *from_template(struct rules_ctx *c, const struct rule *r)
{
    struct span p = r->def->pattern;
    struct buf b = {0};
    bool complete = true;
    for (size_t at; complete && (at = span_search(p, SPAN("%\\{"))) != SIZE_MAX;) {
        struct span rest = span_from(p, at + 3);
        size_t end = span_search(rest, SPAN("\\}"));
        const struct tag_values *t =
            end == SIZE_MAX ? NULL : map_get(&c->scratch->tags, span_sub(rest, 0, end));
        complete = t != NULL;
        buf_add(&b, span_sub(p, 0, at));
        for (size_t i = 0; t && i < t->n; i++) {
            buf_str(&b, i ? "|" : "(?:");
            with_quoted(&b, t->v[i]);
        }
        buf_str(&b, ")");
        p = complete ? span_from(rest, end + 2) : p;
    }
    buf_add(&b, p);
    struct err e;
    struct regex *re = complete ? regex_new(c->a, buf_span(&b), r->def->mods, &e) : NULL;
    buf_free(&b);
    if (re) {
        regex_set_limits(re, c->set->match_limit, c->set->depth_limit);
        regex_set_brief(re);
    }
    return re;
}

void match_rule(struct rules_ctx *c, struct rule *r, const struct span *elements, size_t n,
                size_t first)
{
    const struct regex *re = r->def->is_template ? from_template(c, r) : r->regex;
    if (!re)
        return;
    if (r->nosubject && first == 0)
        first = 1;
    for (size_t i = first; i < n; i++)
        if (match_one(c, r, re, elements[i], 0))
            return;
}

/* --- all rules of a subject --- */

enum {
    /* Of DOUBT_ASKED answers, so many that were none and saved nothing; and how many are not asked
     * for then. */
    DOUBT_ASKED = 64,
    DOUBT_VAIN = 32,
    DOUBT_REST = 2000,
    /* Answers that take so long each, with what follows from them, are compared with as many tries
     * without: those of the second half, when PCRE2 and automata are ready. Where they are worth
     * it, or do not take so long, so many rounds go by untimed. */
    DOUBT_DEAR_NS = 800,
    DOUBT_UNTIMED = 30,
    DOUBT_TRIES = 64,
    /* One try counts no more than this: the process may have been interrupted. */
    DOUBT_NS_MAX = 50 * 1000
};

static bool is_timed(const struct doubt *d)
{
    return d->trying || (!d->rest && !d->untimed);
}

static void add_time(struct doubt *d, uint64_t from)
{
    uint64_t ns = laps_now() - from;
    d->ns += ns < DOUBT_NS_MAX ? (uint32_t)ns : DOUBT_NS_MAX;
}

/* After a round of answers. */
static void judge_answers(struct doubt *d)
{
    if (d->vain >= DOUBT_VAIN) {
        d->rest = DOUBT_REST;
    } else if (d->untimed) {
        d->untimed--;
    } else if (d->ns > DOUBT_DEAR_NS * DOUBT_ASKED) {
        d->with = d->ns;
        d->trying = DOUBT_TRIES;
    } else {
        d->untimed = DOUBT_UNTIMED;
    }
    d->asked = d->vain = 0;
    d->ns = 0;
}

/* What can be told of the rule's pattern without asking PCRE2. */
static enum refuted ask(struct rules_ctx *c, const struct subject *s, uint32_t rule,
                        struct span text, struct places *at)
{
    if (!s->refuter)
        return REFUTE_MAYBE;
    struct doubt *d = &c->scratch->doubts[rule];
    if (d->rest) {
        d->rest--;
        return REFUTE_MAYBE;
    }
    if (d->trying)
        return REFUTE_MAYBE;
    bool timed = is_timed(d);
    uint64_t from = timed ? laps_now() : 0;
    enum refuted told = refuter_ask(s->refuter, rule, text, at);
    if (timed)
        add_time(d, from);
    if (++d->asked >= DOUBT_ASKED)
        judge_answers(d);
    return told;
}

static uint64_t begin_try(const struct rules_ctx *c, const struct subject *s, uint32_t rule)
{
    return s->refuter && is_timed(&c->scratch->doubts[rule]) ? laps_now() : 0;
}

/* PCRE2 had to be asked, since `from` (0: not timed); what did it find? */
static void end_try(struct rules_ctx *c, const struct subject *s, uint32_t rule, uint64_t from)
{
    struct doubt *d = &c->scratch->doubts[rule];
    if (!s->refuter || d->rest)
        return;
    if (!c->scratch->count[rule] && !d->trying)
        d->vain++;
    if (from && (!d->trying || d->trying <= DOUBT_TRIES / 2))
        add_time(d, from);
    /* Where PCRE2 is much slower there is no need to go on. */
    if (!d->trying || (--d->trying && d->ns < d->with / 2))
        return;
    d->trying = 0;
    d->rest = d->ns < d->with / 2 ? DOUBT_REST : 0;
    d->untimed = d->rest ? 0 : DOUBT_UNTIMED;
    d->ns = 0;
}

/* It is enough to know that the rule hits: nobody asks where or how often. */
static bool yes_is_enough(const struct rules_ctx *c, const struct rule *r)
{
    return !c->set->keep_bytes && r->sub && !r->multiple && !r->def->captures;
}

/* A header rule with `!~` hits when nothing matches. */
static void match_negated(struct rules_ctx *c, struct rule *r, struct span s, enum refuted told)
{
    int rc = told == REFUTE_MAYBE ? regex_exec(r->regex, s, 0, NULL) : told == REFUTE_CERTAIN;
    if (rc == 0)
        hit_add(c, r, 1, SPAN_NONE);
    else if (rc < 0)
        hit_limited(c, r);
}

/* A pattern that no filter watches for. */
static void match_pattern(struct rules_ctx *c, const struct subject *s, struct rule *r,
                          const struct span *elements, size_t n)
{
    for (size_t i = r->nosubject; i < n; i++) {
        struct places at = {0, SIZE_MAX};
        enum refuted told = ask(c, s, r->index, elements[i], &at);
        if (told == REFUTED)
            continue;
        if (told == REFUTE_CERTAIN && yes_is_enough(c, r)) {
            hit_add(c, r, 1, SPAN_NONE);
            return;
        }
        uint64_t from = begin_try(c, s, r->index);
        bool done = match_one(c, r, r->regex, elements[i], at.first);
        end_try(c, s, r->index, from);
        if (done)
            return;
    }
}

/* A template is made anew for each message: only where its text without the tags can match. */
static void match_template(struct rules_ctx *c, const struct subject *s, struct rule *r,
                           const struct span *elements, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct places at = {0, SIZE_MAX};
        if (!s->refuter || refuter_ask(s->refuter, r->index, elements[i], &at) != REFUTED) {
            match_rule(c, r, elements, n, i);
            return;
        }
    }
}

static void match_always(struct rules_ctx *c, const struct subject *s, const struct trial *t,
                         const struct span *elements, size_t n)
{
    struct span first = n ? elements[0] : SPAN("");
    struct places at = {0, SIZE_MAX};
    switch (t->kind) {
    case TRIAL_EXISTS:
        hit_add(c, t->rule, 1, n ? arena_dup(c->a, span_sub(first, 0, EVIDENCE_MAX)) : SPAN_NONE);
        break;
    case TRIAL_NEGATED:
        match_negated(c, t->rule, first, ask(c, s, t->index, first, &at));
        break;
    case TRIAL_TEMPLATE:
        match_template(c, s, t->rule, elements, n);
        break;
    case TRIAL_PATTERN:
        match_pattern(c, s, t->rule, elements, n);
    }
}

/* One candidate that the filter found. */
static void match_candidate(struct rules_ctx *c, struct rule *r, const struct span *elements,
                            uint32_t element, size_t from, bool certain)
{
    unsigned count = c->scratch->count[r->index];
    if (count && (!r->multiple || (r->maxhits && count >= r->maxhits)))
        return;
    if (r->def->is_template)
        match_rule(c, r, elements, element + 1, element);
    else if (r->nosubject && element == 0)
        return;
    else if (certain && yes_is_enough(c, r))
        hit_add(c, r, 1, SPAN_NONE);
    else
        match_one(c, r, r->regex, elements[element], from);
}

static void match_guarded(struct rules_ctx *c, const struct subject *s, const struct span *elements,
                          size_t n)
{
    struct window w;
    for (size_t i = 0; i < n; i++) {
        if (!automaton_next(s->guard, elements[i], 0, &w))
            continue;
        for (size_t k = 0; k < s->nguarded; k++)
            match_candidate(c, s->guarded[k], elements, (uint32_t)i, 0, false);
    }
}

/* Of the candidates those that may match, with the first place where that may begin. */
static size_t sift(struct rules_ctx *c, const struct subject *s, const struct span *elements,
                   struct candidate *v, size_t n)
{
    enum { AHEAD = 3 };
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t from = profile_start(c->scratch->profile);
        if (s->refuter && i + AHEAD < n)
            refuter_prefetch(s->refuter, v[i + AHEAD].id);
        struct places at = {v[i].first, v[i].last == CANDIDATE_ANYWHERE ? SIZE_MAX : v[i].last};
        enum refuted told = ask(c, s, v[i].id, elements[v[i].element], &at);
        profile_rule(c->scratch->profile, v[i].id, from);
        if (told == REFUTED)
            continue;
        v[kept] = v[i];
        v[kept].first = (uint32_t)at.first;
        v[kept++].certain = told == REFUTE_CERTAIN;
    }
    return kept;
}

static void match_candidates(struct rules_ctx *c, const struct subject *s,
                             const struct span *elements, size_t n)
{
    size_t found;
    struct candidate *v = prefilter_scan(s->prefilter, c->scratch->prefilter, elements, n, &found);
    lap(profile_laps(c->scratch->profile), STAGE_CANDIDATES);
    found = sift(c, s, elements, v, found);
    for (size_t i = 0; i < found; i++) {
        uint64_t from = profile_start(c->scratch->profile);
        uint64_t start = begin_try(c, s, v[i].id);
        match_candidate(c, &c->set->rules[v[i].id], elements, v[i].element, v[i].first,
                        v[i].certain);
        end_try(c, s, v[i].id, start);
        profile_more(c->scratch->profile, v[i].id, from);
    }
    lap(profile_laps(c->scratch->profile), STAGE_CONFIRM);
}

void match_subject(struct rules_ctx *c, struct subject *s, const struct span *elements, size_t n)
{
    for (size_t i = 0; i < s->nalways; i++) {
        uint64_t from = profile_start(c->scratch->profile);
        match_always(c, s, &s->trials[i], elements, n);
        profile_rule(c->scratch->profile, s->trials[i].index, from);
    }
    if (s->guard)
        match_guarded(c, s, elements, n);
    lap(profile_laps(c->scratch->profile), STAGE_CONFIRM);
    if (s->prefilter)
        match_candidates(c, s, elements, n);
}

/* Without the header a rule sees its if-unset text, or nothing. */
void match_unset(struct rules_ctx *c, struct rule *r)
{
    struct span text = r->def->if_unset.p ? r->def->if_unset : SPAN("");
    if (r->negate)
        match_negated(c, r, text, REFUTE_MAYBE);
    else
        match_rule(c, r, &text, 1, 0);
}

/* The first time in this scratch: all of them; those that hit are remembered. */
static void learn_absent(struct rules_ctx *c, struct subject *s, struct absent *known)
{
    known->v = xcalloc(s->nwhen_absent + 1, sizeof *known->v);
    for (size_t i = 0; i < s->nwhen_absent; i++) {
        struct rule *r = s->when_absent[i];
        match_unset(c, r);
        if (c->scratch->count[r->index] || r->def->is_template)
            known->v[known->n++] = r;
    }
    known->known = true;
}

void match_absent(struct rules_ctx *c, struct subject *s)
{
    struct absent *known = &c->scratch->absent[s - c->set->subjects];
    if (!known->known) {
        learn_absent(c, s, known);
        return;
    }
    for (size_t i = 0; i < known->n; i++)
        match_unset(c, known->v[i]);
}

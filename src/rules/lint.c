/* What `gatehouse check` says beyond what loading finds out: rules that can't be meant so, and
 * patterns that a message can make slow. Only of the site's own files: SpamAssassin's stock ones
 * score and name rules of plugins that are not loaded. */
#include "rules/ruleset_private.h"

static bool of_site(const struct conf_at *at, const struct ruleset_options *o)
{
    const struct rules_settings *s = o->settings;
    struct span file = span_str(at->file);
    if (!s || !file.n)
        return false;
    if (s->site_dir && span_starts(file, span_str(s->site_dir)))
        return true;
    for (size_t i = 0; i < s->dirs.n; i++)
        if (span_starts(file, span_str(s->dirs.v[i])))
            return true;
    return false;
}

static void undefined_names(struct ruleset *rs, const struct rule *r)
{
    for (size_t i = 0; r->meta && i < r->meta->nnames; i++) {
        const struct rule_def *d = conf_rule(rs->conf, r->meta->names[i]);
        if (!d || d->kind == RULE_NONE)
            ruleset_problem(rs, r->def->at,
                            "rule %s names %.*s, which nothing defines; it counts as 0",
                            r->def->name, SPAN_ARG(r->meta->names[i]));
    }
}

/* Behind a quantifier without an upper bound: + * {n,}; its length, 0: there is none. */
static size_t unbounded(struct span s)
{
    if (!s.n)
        return 0;
    if (s.p[0] == '+' || s.p[0] == '*')
        return s.n > 1 && s.p[1] == '+' ? 0 : 1; /* possessive ones give nothing back */
    size_t i = 1;
    if (s.p[0] != '{')
        return 0;
    while (i < s.n && ascii_isdigit(s.p[i]))
        i++;
    return i > 1 && i + 1 < s.n && s.p[i] == ',' && s.p[i + 1] == '}' ? i + 2 : 0;
}

static size_t skip_class(struct span p, size_t i)
{
    i += i + 1 < p.n && p.p[i + 1] == '^' ? 2 : 1;
    if (i < p.n && p.p[i] == ']')
        i++;
    for (; i < p.n && p.p[i] != ']'; i++)
        i += p.p[i] == '\\';
    return i;
}

/* A repeated group whose last element is itself repeated, as in (a+)+: the ways to divide a run
 * among the two grow with a power of its length, or faster. */
static bool nested_quantifiers(struct span p)
{
    enum { DEPTH = 64 };
    size_t depth = 0;
    bool repeats = false; /* what stands right before is repeated without bound */
    for (size_t i = 0; i < p.n; i++) {
        size_t n = unbounded(span_from(p, i));
        if (n) {
            repeats = true;
            i += n - 1;
        } else if (p.p[i] == '\\') {
            i++;
            repeats = false;
        } else if (p.p[i] == '[') {
            i = skip_class(p, i);
            repeats = false;
        } else if (p.p[i] == '(') {
            if (++depth > DEPTH || (i + 2 < p.n && p.p[i + 1] == '?' && p.p[i + 2] == '>'))
                return false; /* an atomic group gives nothing back */
            repeats = false;
        } else if (p.p[i] == ')' && depth) {
            depth--;
            if (repeats && unbounded(span_from(p, i + 1)))
                return true;
            repeats = false;
        } else if (p.p[i] != '?') {
            repeats = false;
        }
    }
    return false;
}

void ruleset_lint(struct ruleset *rs, const struct ruleset_options *o)
{
    for (size_t i = 0; i < rs->nrules; i++) {
        const struct rule *r = &rs->rules[i];
        const struct rule_def *d = r->def;
        bool zero = d->score[0] == 0 && d->score[1] == 0 && d->score[2] == 0 && d->score[3] == 0;
        if (d->kind == RULE_NONE && d->scored && !zero && of_site(&d->score_at, o))
            ruleset_problem(rs, d->score_at, "score of %s, which nothing defines; it has no effect",
                            d->name);
        if (!of_site(&d->at, o))
            continue;
        undefined_names(rs, r);
        if (r->regex && !d->replaced && nested_quantifiers(d->pattern))
            ruleset_problem(rs, d->at,
                            "rule %s: a repeated group ends in a repetition, so a message can make "
                            "it slow; matches that reach rules.match_limit do not count",
                            d->name);
    }
}

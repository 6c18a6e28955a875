#define PCRE2_CODE_UNIT_WIDTH 8
#include "policy/patterns.h"

#include <pcre2.h>

#include "config/pattern.h"
#include "policy/address.h"

/* Steps and kilobytes that one match may take: a stranger chooses the text. */
enum { MATCH_STEPS = 200000, MATCH_HEAP_KB = 1024 };

struct pattern {
    bool negated, address;
    const char *glob;
    pcre2_code *re;
    pcre2_match_data *match;
    pcre2_match_context *limits;
};

static void release(void *ctx)
{
    struct pattern *p = ctx;
    pcre2_match_context_free(p->limits);
    pcre2_match_data_free(p->match);
    pcre2_code_free(p->re);
}

static void compile(struct arena *a, struct pattern *p, struct span regex, uint32_t options)
{
    int code;
    size_t at;
    p->re = pcre2_compile((PCRE2_SPTR)regex.p, regex.n, options, &code, &at, NULL);
    if (!p->re)
        return;
    p->match = pcre2_match_data_create_from_pattern(p->re, NULL);
    p->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(p->limits, MATCH_STEPS);
    pcre2_set_heap_limit(p->limits, MATCH_HEAP_KB);
    arena_defer(a, release, p);
}

struct patterns patterns_new(struct arena *a, struct strings list, bool addresses)
{
    struct patterns out = {arena_array(a, list.n, sizeof *out.v), list.n, false};
    for (size_t i = 0; i < list.n; i++) {
        struct pattern *p = &out.v[i];
        struct span text = span_str(list.v[i]), regex;
        uint32_t options;
        p->negated = pattern_negated(&text);
        p->address = addresses;
        p->glob = text.p;
        if (pattern_regex(text, &regex, &options))
            compile(a, p, regex, options);
        out.any |= !p->negated;
    }
    return out;
}

static bool matches(const struct pattern *p, struct span text)
{
    if (!p->re)
        return p->address ? address_matches(p->glob, text) : glob_matches(span_str(p->glob), text);
    int n =
        pcre2_match(p->re, (PCRE2_SPTR)(text.p ? text.p : ""), text.n, 0, 0, p->match, p->limits);
    return n >= 0 || (n != PCRE2_ERROR_NOMATCH && !p->negated);
}

static bool named(const struct patterns *p, struct span text, bool negated)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].negated == negated && matches(&p->v[i], text))
            return true;
    return false;
}

bool patterns_match(const struct patterns *p, struct span text)
{
    return p->n == 0 || ((!p->any || named(p, text, false)) && !named(p, text, true));
}

bool patterns_match_any(const struct patterns *p, const struct span *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (patterns_match(p, texts[i]))
            return true;
    return p->n == 0;
}

bool patterns_match_set(const struct patterns *p, const struct span *texts, size_t n)
{
    bool found = !p->any;
    for (size_t i = 0; i < n; i++) {
        if (named(p, texts[i], true))
            return false;
        found = found || named(p, texts[i], false);
    }
    return found;
}

/* First line: a pattern; the rest: a string. Where PCRE2 finds a match, the filter must have seen a
 * candidate and the automaton must have led there. */
#include <stdint.h>
#include <stdlib.h>

#include "pattern/automaton.h"
#include "pattern/pattern.h"
#include "pattern/prefilter.h"
#include "pattern/regex.h"

static void check(struct arena *a, struct span pattern, struct span text, size_t start)
{
    struct prefilter_pattern p = {0, pattern, false};
    struct prefilter *f = prefilter_build(a, &p, 1);
    size_t always, found;
    prefilter_always(f, &always);
    if (!always) {
        struct prefilter_scratch *s = prefilter_scratch_new();
        prefilter_scratch_fit(s, f);
        prefilter_scan(f, s, &text, 1, &found);
        if (!found)
            abort();
        prefilter_scratch_free(s);
    }
    struct automaton *m = automaton_new(pattern);
    struct window w = {0};
    for (size_t from = 0; m && (from == 0 || w.last < start); from = w.last + 1)
        if (!automaton_next(m, text, from, &w) || w.first > start)
            abort();
    if (m && !automaton_next(m, text, start, &w))
        abort();
    automaton_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span rest = span_of((const char *)data, n);
    size_t end = span_find(rest, '\n');
    if (end == SIZE_MAX || end > 300)
        return 0;
    struct arena *a = arena_new(0);
    struct span text = span_from(rest, end + 1);
    struct err e;
    struct regex *re = regex_new(a, span_sub(rest, 0, end), SPAN(""), &e);
    struct regex_match m;
    /* \K moves the reported start of a match. */
    if (re && span_search(rest, SPAN("\\K")) == SIZE_MAX) {
        regex_set_limits(re, 20000, 500);
        if (regex_exec(re, text, 0, &m) == 1)
            check(a, pattern_pcre(a, span_sub(rest, 0, end), SPAN("")), text, m.start);
    }
    arena_free(a);
    return 0;
}

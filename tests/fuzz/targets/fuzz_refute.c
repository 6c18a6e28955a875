/* First line: a pattern; the rest: a string. PCRE2 is the judge: the refuter may not say no where
 * it finds a match, nor be certain where it finds none. The programs must survive the cache. */
#include <stdint.h>
#include <stdlib.h>

#include "pattern/pattern.h"
#include "pattern/refute.h"
#include "pattern/regex.h"

static struct refuter *refuter_of(struct arena *a, struct span pattern)
{
    struct refuter_maker *m = refuter_maker_new(1);
    refuter_add(m, 0, pattern);
    struct refuter *r = refuter_finish(m, a);
    struct buf b = {0};
    refuter_save(r, &b);
    struct cursor in = cursor_over(buf_span(&b));
    r = refuter_load(a, 1, &in);
    buf_free(&b);
    if (!r)
        abort();
    return r;
}

/* kept: \K moves the reported start of a match. */
static void check(const struct refuter *r, struct span text, int rc, size_t start, bool kept)
{
    struct places all = {0, SIZE_MAX}, there = {start, start};
    enum refuted told = refuter_ask(r, 0, text, &all);
    if (rc == 1 && (told == REFUTED || (!kept && all.first > start)))
        abort();
    if (rc == 1 && !kept && refuter_ask(r, 0, text, &there) == REFUTED)
        abort();
    if (rc == 0 && told == REFUTE_CERTAIN)
        abort();
}

/* Whatever a damaged cache holds, what is loaded can be run. */
static void load(struct arena *a, struct span bytes, struct span text)
{
    struct cursor in = cursor_over(bytes);
    struct refuter *r = refuter_load(a, 1, &in);
    struct places at = {0, SIZE_MAX};
    if (r)
        refuter_ask(r, 0, text, &at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span rest = span_of((const char *)data, n);
    size_t end = span_find(rest, '\n');
    if (end == SIZE_MAX || end > 300)
        return 0;
    struct arena *a = arena_new(0);
    struct span pattern = span_sub(rest, 0, end), text = span_from(rest, end + 1);
    struct err e;
    struct regex *re = regex_new(a, pattern, SPAN(""), &e);
    struct regex_match m = {0};
    load(a, text, pattern);
    if (re && regex_check(re, &e) == 0) {
        regex_set_limits(re, 20000, 500);
        int rc = regex_exec(re, text, 0, &m);
        check(refuter_of(a, pattern_pcre(a, pattern, SPAN(""))), text, rc, m.start,
              span_search(pattern, SPAN("\\K")) != SIZE_MAX);
    }
    arena_free(a);
    return 0;
}

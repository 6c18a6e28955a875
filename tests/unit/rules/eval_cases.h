/* Tables of eval calls, messages and what they must say: tests/unit/rules/evals/X.txt. */
#ifndef GATEHOUSE_TESTS_EVAL_CASES_H
#define GATEHOUSE_TESTS_EVAL_CASES_H

#include "eval_fixture.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

static inline struct span read_file(struct arena *a, const char *name)
{
    const char *root = getenv("GATEHOUSE_SOURCE");
    assert_non_null(root);
    struct span path = arena_printf(a, "%s/tests/unit/rules/evals/%s", root, name);
    FILE *f = fopen(path.p, "r");
    if (!f)
        fail_msg("%s can't be read", path.p);
    char piece[4096];
    struct buf b = {0};
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        buf_add(&b, span_of(piece, n));
    fclose(f);
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

/* \xHH and \\. */
static inline struct span unescape(struct arena *a, struct span s)
{
    char *p = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 3 < s.n && s.p[i + 1] == 'x') {
            p[n++] = (char)(ascii_hex(s.p[i + 2]) << 4 | ascii_hex(s.p[i + 3]));
            i += 3;
        } else {
            i += s.p[i] == '\\';
            p[n++] = s.p[i];
        }
    }
    return span_of(p, n);
}

/* One record "% call kind hits" with its message; false at the end. */
static inline bool next_case(struct span *rest, struct span *head, struct span *message)
{
    size_t at = span_search(*rest, SPAN("\n% "));
    if (at == SIZE_MAX)
        return false;
    *rest = span_from(*rest, at + 3);
    assert_true(span_line(rest, head));
    size_t end = span_search(*rest, SPAN("\n% "));
    *message = span_sub(*rest, 0, end); /* the blank line in between is its end */
    if (end == SIZE_MAX)
        *message = *rest;
    *rest = span_from(*rest, message->n);
    return true;
}

static inline void run_cases(struct fixture *f, const char *name, struct span rest)
{
    struct span head, message;
    size_t cases = 0;
    while (next_case(&rest, &head, &message)) {
        size_t space = span_rfind(head, ' ');
        bool want = span_eq(span_from(head, space + 1), SPAN("1"));
        struct span call = span_sub(head, 0, space);
        space = span_rfind(call, ' ');
        bool header = span_eq(span_from(call, space + 1), SPAN("header"));
        call = span_sub(call, 0, space);
        fixture_message(f, unescape(f->conf_arena, message));
        bool got = fixture_eval(f, call, header ? EVAL_HEADER : EVAL_BODY) != 0;
        if (got != want)
            fail_msg("%s: %s gives %d for\n%s", name, arena_cstr(f->arena, call), got,
                     arena_cstr(f->arena, message));
        cases++;
    }
    assert_true(cases > 0);
}

#endif

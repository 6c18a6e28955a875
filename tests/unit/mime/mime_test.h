/* What the tests of this room share. */
#ifndef TESTS_MIME_TEST_H
#define TESTS_MIME_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "mime/mime.h"

static inline void assert_span(struct span got, const char *want)
{
    if (!span_eq(got, span_str(want)))
        fail_msg("got  [%.*s]\nwant [%s]", SPAN_ARG(got), want);
}

static inline int arena_setup(void **state)
{
    *state = arena_new(0);
    return 0;
}

static inline int arena_teardown(void **state)
{
    arena_free(*state);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, arena_setup, arena_teardown)

/* "type(child child)" for the whole tree; a leaf is followed by its body in brackets. */
static inline void draw_part(struct buf *b, const struct mime_part *p)
{
    buf_add(b, p->type);
    if (p->leaf) {
        buf_printf(b, "[%.*s]", SPAN_ARG(p->body));
        return;
    }
    buf_char(b, '(');
    for (const struct mime_part *c = p->child; c; c = c->next) {
        if (c != p->child)
            buf_char(b, ' ');
        draw_part(b, c);
    }
    buf_char(b, ')');
}

static inline void assert_tree(const struct mime *m, const char *want)
{
    struct buf b = {0};
    draw_part(&b, m->root);
    bool same = span_eq(buf_span(&b), span_str(want));
    if (!same)
        print_error("got  %.*s\nwant %s\n", SPAN_ARG(buf_span(&b)), want);
    buf_free(&b);
    assert_true(same);
}

static inline bool has_anomaly(const struct mime *m, const char *name)
{
    for (size_t i = 0; i < m->nanomalies; i++)
        if (strcmp(m->anomalies[i].name, name) == 0)
            return true;
    return false;
}

static inline struct mime *parse(struct arena *a, const char *text)
{
    return mime_parse(a, span_str(text), NULL);
}

#endif

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "smtp/textmap.h"

static void note(void *ctx, const char *text)
{
    buf_str(ctx, text);
    buf_char(ctx, '|');
}

static int no_moons(void *ctx, struct arena *arena, struct textmap_entry *e, struct err *why)
{
    (void)ctx;
    if (span_eq(e->value, SPAN("moon")))
        return err_set(why, "no moon wanted");
    e->parsed = arena_cstr(arena, e->value);
    return 0;
}

static void lines_are_read(void **state)
{
    (void)state;
    struct buf said = {0};
    struct textmap_rules rules = {no_moons, note, &said};
    struct textmap *m = textmap_read(SPAN("# comment\n"
                                          "Example.ORG \t smtp:[192.0.2.1]  \r\n"
                                          "\n"
                                          "bad moon\n"
                                          "\"quoted key\" x\n"
                                          "\"open x\n"
                                          "example.org twice\n"
                                          "alone"),
                                     "m", &rules);
    assert_int_equal(textmap_count(m), 3);
    const struct textmap_entry *e = textmap_get(m, SPAN("EXAMPLE.org"));
    assert_non_null(e);
    assert_true(span_eq(e->value, SPAN("smtp:[192.0.2.1]")));
    assert_string_equal(e->parsed, "smtp:[192.0.2.1]");
    assert_int_equal(e->line, 2);
    assert_non_null(textmap_get(m, SPAN("quoted key")));
    assert_int_equal(textmap_get(m, SPAN("alone"))->value.n, 0);
    assert_null(textmap_get(m, SPAN("bad")));
    assert_string_equal(said.p, "m:4: no moon wanted|m:6: quote without end|"
                                "m:7: 'example.org' stands here twice, the first entry counts|");
    assert_int_equal(textmap_bad(m), 3);
    textmap_free(m);
    buf_free(&said);
}

static void put(const char *path, const char *text)
{
    char fresh[100];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *f = fopen(fresh, "w");
    fputs(text, f);
    fclose(f);
    rename(fresh, path);
}

static void a_changed_file_is_read_again(void **state)
{
    (void)state;
    char path[] = "/tmp/gatehouse-map-XXXXXX";
    close(mkstemp(path));
    unlink(path);
    struct buf said = {0};
    struct textmap_rules rules = {NULL, note, &said};
    struct textmap *m = textmap_open(path, &rules);
    assert_false(textmap_ok(m));
    assert_non_null(strstr(said.p, "No such file"));
    assert_false(textmap_refresh(m));
    put(path, "a 1\n");
    assert_true(textmap_refresh(m));
    assert_true(textmap_ok(m));
    assert_true(span_eq(textmap_get(m, SPAN("a"))->value, SPAN("1")));
    assert_false(textmap_refresh(m));
    put(path, "a 2\n");
    assert_true(textmap_refresh(m));
    assert_true(span_eq(textmap_get(m, SPAN("a"))->value, SPAN("2")));
    unlink(path);
    assert_false(textmap_refresh(m));
    assert_non_null(textmap_get(m, SPAN("a"))); /* what was read stays in force */
    textmap_free(m);
    buf_free(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read),
        cmocka_unit_test(a_changed_file_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

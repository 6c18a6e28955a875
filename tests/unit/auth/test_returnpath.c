/* Return paths by the settings: whose secrets, which domains, which way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/keyfile.h"
#include "auth/returnpath.h"

static const usec day = 86400 * USEC_PER_SEC, now = 1790000000 * USEC_PER_SEC;

struct stand {
    struct settings set;
    struct arena *a;
    char file[64], told[512];
    int ntold;
};

static void on_problem(void *ctx, const char *text)
{
    struct stand *s = ctx;
    snprintf(s->told, sizeof s->told, "%s", text);
    s->ntold++;
}

static void write_file(struct stand *s, const char *text, mode_t mode)
{
    FILE *f = fopen(s->file, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    chmod(s->file, mode);
}

static int open_stand(void **state)
{
    static const char *domains[] = {"our.example", ".deep.example"};
    struct stand *s = calloc(1, sizeof *s);
    s->a = arena_new(0);
    snprintf(s->file, sizeof s->file, "/tmp/gatehouse-secret-XXXXXX");
    close(mkstemp(s->file));
    s->set.srs.domain = "fwd.example";
    s->set.srs.key_file = s->set.batv.key_file = s->file;
    s->set.srs.lifetime = 21 * day;
    s->set.batv.lifetime = 7 * day;
    s->set.batv.domains = (struct strings){domains, 2};
    *state = s;
    return 0;
}

static int close_stand(void **state)
{
    struct stand *s = *state;
    unlink(s->file);
    arena_free(s->a);
    free(s);
    return 0;
}

static void files(void **state)
{
    struct stand *s = *state;
    struct secrets got;
    struct err e;
    write_file(s, "# old\n\n  the first secret here  \r\nanother secret, long enough\n", 0600);
    assert_int_equal(secrets_read(s->file, s->a, &got, &e), 2);
    assert_string_equal(got.v[0], "the first secret here");
    static const struct {
        const char *text;
        mode_t mode;
        const char *why;
    } bad[] = {
        {"the first secret here\n", 0644, "chmod 600"},
        {"the first secret here\n", 0620, "chmod 600"},
        {"short\n", 0600, "16 to 512 characters"},
        {"# nothing\n", 0600, "no secret"},
        {"", 0600, "no secret"},
        {"1234567890123456\n1234567890123456\n1234567890123456\n1234567890123456\n1234567890123456"
         "\n"
         "1234567890123456\n1234567890123456\n1234567890123456\n1234567890123456\n",
         0600, "more than 8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(s, bad[i].text, bad[i].mode);
        assert_int_equal(secrets_read(s->file, s->a, &got, &e), -1);
        assert_non_null(strstr(e.text, bad[i].why));
        assert_non_null(strstr(e.text, s->file));
    }
    char line[SECRET_LENGTH_MAX + 10];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = 0;
    write_file(s, line, 0600);
    assert_int_equal(secrets_read(s->file, s->a, &got, &e), -1);
    assert_int_equal(secrets_read("/nowhere/at/all", s->a, &got, &e), -1);
}

static struct span made(struct stand *s, struct returnpath *r, const char *sender, bool ours)
{
    struct span from = span_str(sender), out = from;
    returnpath_make(r, s->a, returnpath_kind(r, s->a, from, ours), from, now, &out);
    return out;
}

static void which_way(void **state)
{
    struct stand *s = *state;
    write_file(s, "the first secret here\n", 0600);
    struct returnpath *r = returnpath_open(&s->set, on_problem, s);
    assert_int_equal(s->ntold, 0);
    assert_int_equal(returnpath_kind(r, s->a, SPAN("u@one.example"), false), RETURN_SRS);
    assert_int_equal(returnpath_kind(r, s->a, SPAN("u@one.example"), true), RETURN_NOT);
    assert_int_equal(returnpath_kind(r, s->a, SPAN("u@Our.example"), true), RETURN_BATV);
    assert_int_equal(returnpath_kind(r, s->a, SPAN("u@our.example"), false), RETURN_BATV);
    assert_int_equal(returnpath_kind(r, s->a, SPAN("u@a.deep.example"), true), RETURN_BATV);
    assert_int_equal(returnpath_kind(r, s->a, SPAN("u@deep.example"), true), RETURN_BATV);
    assert_int_equal(returnpath_kind(r, s->a, SPAN("u@notour.example"), true), RETURN_NOT);
    assert_int_equal(returnpath_kind(r, s->a, SPAN("u@steep.example"), true), RETURN_NOT);
    assert_int_equal(returnpath_kind(r, s->a, SPAN(""), false), RETURN_NOT);
    assert_int_equal(returnpath_kind(NULL, s->a, SPAN("u@one.example"), false), RETURN_NOT);

    struct returnpath_found f;
    returnpath_read(r, s->a, made(s, r, "u@one.example", false), now, &f);
    assert_int_equal(f.kind, RETURN_SRS);
    assert_true(f.result == SRS_OK && span_eq(f.address, SPAN("u@one.example")));
    struct span tagged = made(s, r, "u@our.example", true);
    assert_true(span_starts(tagged, SPAN("prvs=0")));
    assert_true(span_eq(made(s, r, arena_cstr(s->a, tagged), true), tagged)); /* once is enough */
    returnpath_read(r, s->a, tagged, now + 8 * day, &f);
    assert_int_equal(f.kind, RETURN_BATV);
    assert_true(f.result == SRS_EXPIRED && span_eq(f.address, SPAN("u@our.example")));
    /* A tag under the domain of somebody else is his. */
    returnpath_read(r, s->a, SPAN("prvs=0123abcdef=u@other.example"), now, &f);
    assert_int_equal(f.kind, RETURN_NOT);
    assert_true(returnpath_wants_tag(r, SPAN("our.example")));
    assert_false(returnpath_wants_tag(r, SPAN("one.example")));
    assert_false(returnpath_wants_tag(NULL, SPAN("our.example")));
    returnpath_free(r);
}

/* Nothing is changed, nothing is refused, and bounces of better days come again. */
static void without_secrets(void **state)
{
    struct stand *s = *state;
    struct returnpath_found f;
    write_file(s, "the first secret here\n", 0644);
    struct returnpath *r = returnpath_open(&s->set, on_problem, s);
    assert_int_equal(s->ntold, 2);
    assert_int_equal(returnpath_kind(r, s->a, SPAN("u@one.example"), false), RETURN_NOT);
    assert_int_equal(returnpath_kind(r, s->a, SPAN("u@our.example"), true), RETURN_NOT);
    assert_false(returnpath_wants_tag(r, SPAN("our.example")));
    returnpath_read(r, s->a, SPAN("SRS0=ABCDEFGH=JL=one.test=u@fwd.example"), now, &f);
    assert_true(f.kind == RETURN_SRS && f.unknown);
    returnpath_read(r, s->a, SPAN("prvs=0123abcdef=u@our.example"), now, &f);
    assert_true(f.kind == RETURN_BATV && f.unknown);
    returnpath_free(r);
    s->set.srs.domain = NULL;
    s->set.batv.domains.n = 0;
    assert_null(returnpath_open(&s->set, on_problem, s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files, open_stand, close_stand),
        cmocka_unit_test_setup_teardown(which_way, open_stand, close_stand),
        cmocka_unit_test_setup_teardown(without_secrets, open_stand, close_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The signing half of ValiMail's suite, where it is at hand: sealing each message must give exactly
 * the fields that the suite expects, signatures included (RSA's are always the same). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/signer.h"
#include "auth/tags.h"
#include "mailcheck.h"
#include "suite.h"

enum { SUITE_CASES = 17 };

struct sealing {
    struct mailcheck check;
    struct auth_digests digests;
    struct signer *signer;
    char dir[64];
};

static void problem(void *ctx, const char *text)
{
    (void)ctx;
    fail_msg("%s", text);
}

static void sealing_open(struct sealing *s, struct suite *u, yaml_node_t *root)
{
    static const char *entries[] = {NULL};
    char path[128], entry[256];
    mailcheck_open(&s->check);
    auth_digests_open(&s->digests);
    suite_keys(u, root, &s->check.zone);
    snprintf(s->dir, sizeof s->dir, "/tmp/gatehouse-sign-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(path, sizeof path, "%s/key.pem", s->dir);
    FILE *f = fopen(path, "w");
    struct span pem = suite_text(u, root, "privatekey");
    fwrite(pem.p, 1, pem.n, f);
    fclose(f);
    chmod(path, 0600);
    snprintf(entry, sizeof entry, "example.org dummy %s", path);
    entries[0] = entry;
    struct settings *set = &s->check.set;
    set->dkim.sign = (struct strings){entries, 1};
    set->arc.seal = ARC_SEAL_ALWAYS;
    set->arc.domain = "example.org";
    s->signer = signer_open(set, problem, NULL);
    assert_int_equal(signer_keys(s->signer), 1);
    unlink(path);
    rmdir(s->dir);
}

static void sealing_close(struct sealing *s)
{
    signer_free(s->signer);
    auth_digests_close(&s->digests);
    mailcheck_close(&s->check);
}

/* White space does not count in the suite's fields. */
static void add_squeezed(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isspace(s.p[i]))
            buf_char(out, s.p[i]);
}

static bool same_field(struct suite *u, yaml_node_t *t, const char *key, const char *name,
                       struct span fields)
{
    struct buf want = {0}, got = {0};
    struct signed_mail m;
    struct arena *a = arena_new(0);
    signed_mail_read(a, fields, &m);
    add_squeezed(&want, suite_text(u, t, key));
    size_t at = signed_mail_last(&m, span_str(name), SIZE_MAX);
    if (at != SIZE_MAX)
        add_squeezed(&got, m.v[at].value);
    bool same = span_eq(buf_span(&want), buf_span(&got));
    if (!same)
        print_error("%s:\n  %.*s\n  %.*s\n", name, SPAN_ARG(buf_span(&want)),
                    SPAN_ARG(buf_span(&got)));
    buf_free(&want);
    buf_free(&got);
    arena_free(a);
    return same;
}

/* The results that our own Authentication-Results would hold, as the suite expects them. */
static struct span results_of(struct suite *u, yaml_node_t *t, struct arena *a)
{
    struct span all = suite_text(u, t, "AAR"), line;
    struct buf b = {0};
    all = span_trim(span_from(all, span_find(all, ';') + 1));
    while (span_line(&all, &line)) {
        buf_str(&b, b.n ? "\n\t" : "");
        buf_add(&b, line);
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

static bool run_case(struct sealing *s, struct suite *u, struct span name, yaml_node_t *t)
{
    const char *names[32];
    size_t n = 0;
    uint64_t now = 0;
    struct span rest = suite_text(u, t, "sig-headers"), item;
    struct settings *set = &s->check.set;
    struct arena *a = arena_new(0);
    while (n < 32 && tags_item(&rest, ':', &item))
        names[n++] = arena_cstr(a, item);
    set->dkim.headers = (struct strings){names, n};
    assert_true(span_u64(suite_text(u, t, "t"), &now));

    struct sign_request r;
    struct splices none = {0};
    struct buf fields = {0};
    struct err e = {0};
    struct message *m = s->check.m;
    struct span raw = suite_text(u, t, "message");
    mailcheck(&s->check, raw, 1500000000);
    m->raw = raw;
    m->has_envelope = true;
    struct signable *sa = signable_new(&s->digests, m, &none, a);
    if (sign_wants_seal(set, m, sa, results_of(u, t, a), &r)) {
        struct buf wire = {0};
        sign_request_encode(&wire, &r);
        assert_true(sign_request_decode(buf_span(&wire), &r));
        if (signer_sign(s->signer, &r, now, &fields, &e) != 0)
            print_error("%.*s: %s\n", SPAN_ARG(name), e.text);
        buf_free(&wire);
    }
    m->raw = SPAN_NONE;
    bool same = same_field(u, t, "AAR", "ARC-Authentication-Results", buf_span(&fields));
    same = same_field(u, t, "AMS", "ARC-Message-Signature", buf_span(&fields)) && same;
    same = same_field(u, t, "AS", "ARC-Seal", buf_span(&fields)) && same;
    if (!same)
        print_error("in %.*s\n", SPAN_ARG(name));
    buf_free(&fields);
    arena_free(a);
    return same;
}

static void suite(void **state)
{
    (void)state;
    struct suite u;
    int cases = 0, wrong = 0;
    if (!suite_open(&u, "arc-draft-sign-tests.yml"))
        skip();
    for (yaml_node_t *root; (root = suite_next(&u));) {
        struct sealing s;
        sealing_open(&s, &u, root);
        yaml_node_t *tests = suite_member(&u, root, "tests");
        for (yaml_node_pair_t *p = tests->data.mapping.pairs.start;
             p < tests->data.mapping.pairs.top; p++, cases++)
            wrong += !run_case(&s, &u, suite_scalar(suite_at(&u, p->key)), suite_at(&u, p->value));
        sealing_close(&s);
    }
    suite_close(&u);
    assert_int_equal(wrong, 0);
    assert_int_equal(cases, SUITE_CASES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(suite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* DMARC: records, whose record holds (both methods), alignment, what is left of a policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/dmarc.h"
#include "zone.h"

static void count(void *ctx)
{
    ++*(int *)ctx;
}

static void records(void **state)
{
    struct arena *a = arena_new(0);
    struct dmarc_record r;
    (void)state;
    assert_true(dmarc_parse(a, SPAN("v=DMARC1; p=reject"), &r));
    assert_int_equal(r.p, DMARC_POLICY_REJECT);
    assert_int_equal(r.sp, DMARC_POLICY_REJECT);
    assert_int_equal(r.np, DMARC_POLICY_REJECT);
    assert_int_equal(r.percent, 100);
    assert_true(dmarc_parse(
        a, SPAN(" v = DMARC1 ;p = quarantine;sp=none ; adkim=s;aspf=r; pct=20;t=y"), &r));
    assert_int_equal(r.p, DMARC_POLICY_QUARANTINE);
    assert_int_equal(r.np, DMARC_POLICY_NONE);
    assert_true(r.strict_dkim && !r.strict_spf && r.testing);
    assert_int_equal(r.percent, 20);
    assert_true(
        dmarc_parse(a,
                    SPAN("v=DMARC1;p=none;rua=mailto:a@b.example!10m,mailto:c%2Bd@e.example,"
                         "https://x.example,mailto:bad"),
                    &r));
    assert_int_equal(r.nrua, 2);
    assert_int_equal(r.rua[0].max_size, 10 << 20);
    assert_true(span_eq(r.rua[1].address, SPAN("c+d@e.example")));
    /* Without a usable policy: none when somebody wants reports, else no record at all. */
    assert_true(dmarc_parse(a, SPAN("v=DMARC1; rua=mailto:a@b.example"), &r));
    assert_int_equal(r.p, DMARC_POLICY_NONE);
    assert_true(dmarc_parse(a, SPAN("v=DMARC1; p=reject; sp=junk; rua=mailto:a@b.example"), &r));
    assert_int_equal(r.p, DMARC_POLICY_NONE);
    static const char *const none[] = {"v=DMARC1",
                                       "v=DMARC1; p=junk",
                                       "v=dmarc1; p=reject",
                                       "p=reject; v=DMARC1",
                                       "v=DMARC1 p=reject",
                                       "v=DMARC2; p=reject",
                                       "",
                                       ";",
                                       "v=DMARC1; p=reject; np=x"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (dmarc_parse(a, span_str(none[i]), &r))
            fail_msg("%s", none[i]);
    arena_free(a);
}

struct find_row {
    enum dmarc_method method;
    const char *domain, *record_domain, *organisation;
};

static void discovery(void **state)
{
    static const struct find_row rows[] = {
        {DMARC_SUFFIX, "example.org", "example.org", "example.org"},
        {DMARC_SUFFIX, "a.b.example.org", "example.org", "example.org"},
        {DMARC_SUFFIX, "own.example.org", "own.example.org", "example.org"},
        {DMARC_SUFFIX, "x.example.co.uk", "example.co.uk", "example.co.uk"},
        {DMARC_SUFFIX, "none.example.net", NULL, "example.net"},
        {DMARC_TREE, "example.org", "example.org", "example.org"},
        {DMARC_TREE, "a.b.example.org", "example.org", "example.org"},
        {DMARC_TREE, "own.example.org", "own.example.org", "example.org"},
        {DMARC_TREE, "none.example.net", NULL, "none.example.net"},
        {DMARC_TREE, "a.mail.example.com", "mail.example.com", "mail.example.com"}, /* psd=n */
        {DMARC_TREE, "giant.bank", "giant.bank", "giant.bank"},
        {DMARC_TREE, "a.new.bank", "bank", "new.bank"}, /* psd=y above */
        {DMARC_TREE, "a.giant.bank", "giant.bank", "giant.bank"},
        {DMARC_TREE, "bank", "bank", "bank"},
        {DMARC_TREE, "1.2.3.4.5.6.7.8.9.example.org", "example.org", "example.org"},
        {DMARC_TREE, "two.example.org", "example.org", "example.org"}, /* two records: none */
    };
    struct zone z;
    (void)state;
    for (int later = 0; later < 2; later++) {
        zone_new(&z);
        z.later = later;
        zone_txt(&z, "_dmarc.example.org", "v=DMARC1; p=reject; sp=none");
        zone_txt(&z, "_dmarc.example.org", "something else");
        zone_txt(&z, "_dmarc.own.example.org", "v=DMARC1; p=none");
        zone_txt(&z, "_dmarc.two.example.org", "v=DMARC1; p=none");
        zone_txt(&z, "_dmarc.two.example.org", "v=DMARC1; p=reject");
        zone_txt(&z, "_dmarc.example.co.uk", "v=DMARC1; p=reject");
        zone_txt(&z, "_dmarc.mail.example.com", "v=DMARC1; p=reject; psd=n");
        zone_txt(&z, "_dmarc.example.com", "v=DMARC1; p=none");
        zone_txt(&z, "_dmarc.bank", "v=DMARC1; p=reject; psd=y");
        zone_txt(&z, "_dmarc.giant.bank", "v=DMARC1; p=quarantine");
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            const struct find_row *r = &rows[i];
            struct dmarc_found f;
            int done = 0;
            z.asked = 0;
            dmarc_find(r->method, span_str(r->domain), &z.resolver, z.a, &f, count, &done);
            zone_run(&z);
            assert_int_equal(done, 1);
            assert_true(z.asked <= DMARC_WALK_MAX);
            if (f.has_record != (r->record_domain != NULL) ||
                !span_eq(f.record_domain, span_str(r->record_domain)) ||
                !span_eq(f.organisation, span_str(r->organisation)))
                fail_msg("%s: record of '%.*s', organisation '%.*s'", r->domain,
                         SPAN_ARG(f.record_domain), SPAN_ARG(f.organisation));
        }
        zone_free(&z);
    }
}

/* --- whole checks --- */

struct stand {
    struct zone z;
    struct message *m;
    struct authors authors;
};

static void stand_new(struct stand *s, const char *author)
{
    zone_new(&s->z);
    s->m = message_new(0);
    s->authors = (struct authors){.n = 1, .count = 1, .domains = {span_str(author)}};
    s->m->facts.auth.ran = true;
    s->m->facts.auth.mailfrom = (struct spf_fact){.result = SPF_NONE, .domain = SPAN("x.example")};
    zone_txt(&s->z, "_dmarc.legit.example", "v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s");
    zone_a(&s->z, "there.legit.example", "192.0.2.1");
}

static struct dmarc_fact *judge(struct stand *s, enum dmarc_method method)
{
    int done = 0;
    const struct dmarc_fact *f = &s->m->facts.auth.dmarc;
    dmarc_check(method, &s->authors, NULL, &s->z.resolver, s->m, count, &done);
    zone_run(&s->z);
    assert_int_equal(done, 1);
    /* The same, with the records asked for ahead. */
    struct dmarc_fact now = *f;
    struct dmarc_ahead ahead = {0};
    s->z.asked = 0;
    dmarc_ask_ahead(method, &s->authors, &s->z.resolver, s->m->arena, &ahead, count, &done);
    zone_run(&s->z);
    assert_int_equal(done, 2);
    dmarc_check(method, &s->authors, &ahead, &s->z.resolver, s->m, count, &done);
    zone_run(&s->z);
    assert_int_equal(done, 3);
    assert_true(f->result == now.result && f->policy == now.policy &&
                f->disposition == now.disposition && f->override == now.override &&
                f->spf_aligned == now.spf_aligned && f->dkim_aligned == now.dkim_aligned &&
                span_eq(f->record_domain, now.record_domain) && span_eq(f->domain, now.domain));
    return &s->m->facts.auth.dmarc;
}

static void stand_free(struct stand *s)
{
    message_free(s->m);
    zone_free(&s->z);
}

static void spf_says(struct stand *s, enum spf_result r, const char *domain)
{
    s->m->facts.auth.mailfrom = (struct spf_fact){.result = r, .domain = span_str(domain)};
}

static struct dkim_fact *dkim_says(struct stand *s, enum dkim_result r, const char *domain)
{
    struct auth_facts *f = &s->m->facts.auth;
    struct dkim_fact *d = ARENA_PUSH(s->m->arena, f->dkim, f->ndkim, f->dkim_cap);
    *d = (struct dkim_fact){.result = r, .domain = span_str(domain)};
    return d;
}

static void alignment(void **state)
{
    static const struct {
        const char *author, *domain;
        bool dkim, pass;
    } rows[] = {
        {"legit.example", "legit.example", false, true},
        {"legit.example", "bounce.legit.example", false, true},
        {"there.legit.example", "legit.example", false, true},
        {"legit.example", "notlegit.example", false, false},
        {"legit.example", "attacker.example", false, false},
        {"legit.example", "example", false, false},
        {"legit.example", "legit.example", true, true},
        {"legit.example", "mail.legit.example", true, false}, /* adkim=s */
        {"there.legit.example", "there.legit.example", true, true},
        {"there.legit.example", "legit.example", true, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int method = DMARC_TREE; method <= DMARC_SUFFIX; method++) {
            struct stand s;
            stand_new(&s, rows[i].author);
            if (rows[i].dkim)
                dkim_says(&s, DKIM_PASS, rows[i].domain);
            else
                spf_says(&s, SPF_PASS, rows[i].domain);
            struct dmarc_fact *f = judge(&s, (enum dmarc_method)method);
            if (f->result != (rows[i].pass ? DMARC_PASS : DMARC_FAIL))
                fail_msg("%s from %s: %s", rows[i].domain, rows[i].author,
                         dmarc_result_name(f->result));
            stand_free(&s);
        }
}

static void policies(void **state)
{
    struct stand s;
    (void)state;
    stand_new(&s, "legit.example");
    struct dmarc_fact *f = judge(&s, DMARC_TREE);
    assert_int_equal(f->policy, DMARC_POLICY_REJECT);
    assert_int_equal(f->disposition, DMARC_POLICY_REJECT);
    stand_free(&s);
    stand_new(&s, "there.legit.example");
    f = judge(&s, DMARC_TREE);
    assert_int_equal(f->disposition, DMARC_POLICY_QUARANTINE);
    assert_true(span_eq(f->record_domain, SPAN("legit.example")));
    stand_free(&s);
    stand_new(&s, "gone.legit.example"); /* does not exist: np= */
    assert_int_equal(judge(&s, DMARC_TREE)->disposition, DMARC_POLICY_NONE);
    stand_free(&s);

    stand_new(&s, "t.example");
    zone_txt(&s.z, "_dmarc.t.example", "v=DMARC1; p=reject; t=y");
    f = judge(&s, DMARC_TREE);
    assert_int_equal(f->disposition, DMARC_POLICY_QUARANTINE);
    assert_string_equal(f->override, "policy_test_mode");
    stand_free(&s);
    stand_new(&s, "p.example");
    zone_txt(&s.z, "_dmarc.p.example", "v=DMARC1; p=reject; pct=0");
    f = judge(&s, DMARC_SUFFIX);
    assert_int_equal(f->disposition, DMARC_POLICY_QUARANTINE);
    assert_string_equal(f->override, "sampled_out");
    assert_int_equal(judge(&s, DMARC_TREE)->disposition,
                     DMARC_POLICY_REJECT); /* RFC 9989 has none */
    stand_free(&s);
}

static void no_false_witness(void **state)
{
    struct stand s;
    (void)state;
    stand_new(&s, "legit.example");
    dkim_says(&s, DKIM_PASS, "legit.example")->body_limited = true;
    dkim_says(&s, DKIM_PASS, "legit.example")->from_unsigned = true;
    dkim_says(&s, DKIM_PASS, "legit.example")->domainkeys = true;
    dkim_says(&s, DKIM_POLICY, "legit.example");
    assert_int_equal(judge(&s, DMARC_TREE)->result, DMARC_FAIL);
    dkim_says(&s, DKIM_PASS, "legit.example");
    assert_int_equal(judge(&s, DMARC_TREE)->result, DMARC_PASS);
    stand_free(&s);

    /* HELO counts only where there is no reverse-path. */
    stand_new(&s, "legit.example");
    s.m->facts.auth.helo = (struct spf_fact){.result = SPF_PASS, .domain = SPAN("legit.example")};
    assert_int_equal(judge(&s, DMARC_TREE)->result, DMARC_FAIL);
    s.m->facts.auth.mailfrom = (struct spf_fact){0};
    assert_int_equal(judge(&s, DMARC_TREE)->result, DMARC_PASS);
    stand_free(&s);

    /* All that may be shown have to pass, and the strictest failure counts. */
    stand_new(&s, "attacker.example");
    spf_says(&s, SPF_PASS, "attacker.example");
    zone_txt(&s.z, "_dmarc.attacker.example", "v=DMARC1; p=none");
    s.authors.domains[s.authors.n++] = SPAN("legit.example");
    struct dmarc_fact *f = judge(&s, DMARC_TREE);
    assert_int_equal(f->result, DMARC_FAIL);
    assert_int_equal(f->disposition, DMARC_POLICY_REJECT);
    assert_true(span_eq(f->domain, SPAN("legit.example")));
    stand_free(&s);
}

static void no_answers(void **state)
{
    struct stand s;
    (void)state;
    stand_new(&s, "legit.example");
    spf_says(&s, SPF_TEMPERROR, "legit.example");
    assert_int_equal(judge(&s, DMARC_TREE)->result, DMARC_TEMPERROR);
    spf_says(&s, SPF_TEMPERROR, "other.example"); /* would not help */
    assert_int_equal(judge(&s, DMARC_TREE)->result, DMARC_FAIL);
    stand_free(&s);
    stand_new(&s, "silent.example");
    zone_add(&s.z, SPAN("_dmarc.silent.example"), ZONE_TIMEOUT, SPAN(""));
    assert_int_equal(judge(&s, DMARC_TREE)->result, DMARC_TEMPERROR);
    stand_free(&s);
    stand_new(&s, "nothing.example");
    assert_int_equal(judge(&s, DMARC_TREE)->result, DMARC_NONE);
    stand_free(&s);
    stand_new(&s, "legit.example");
    s.m->facts.auth.mailfrom = (struct spf_fact){0}; /* nobody knows where it came from */
    assert_int_equal(judge(&s, DMARC_TREE)->result, DMARC_NONE);
    stand_free(&s);
}

static void forwarders(void **state)
{
    struct stand s;
    (void)state;
    stand_new(&s, "legit.example");
    struct arc_fact *arc = &s.m->facts.auth.arc;
    *arc = (struct arc_fact){.result = ARC_PASS,
                             .results =
                                 SPAN(" i=1; list.example; dmarc=pass header.from=Legit.example")};
    assert_int_equal(judge(&s, DMARC_TREE)->disposition, DMARC_POLICY_REJECT);
    arc->trusted = SPAN("list.example");
    struct dmarc_fact *f = judge(&s, DMARC_TREE);
    assert_int_equal(f->result, DMARC_FAIL);
    assert_int_equal(f->disposition, DMARC_POLICY_NONE);
    assert_string_equal(f->override, "trusted_forwarder");
    arc->results = SPAN("i=1; list.example; dmarc=pass header.from=attacker.example");
    assert_int_equal(judge(&s, DMARC_TREE)->disposition, DMARC_POLICY_REJECT);
    arc->result = ARC_FAIL;
    arc->results = SPAN("i=1; list.example; dmarc=pass header.from=legit.example");
    assert_int_equal(judge(&s, DMARC_TREE)->disposition, DMARC_POLICY_REJECT);
    stand_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records),          cmocka_unit_test(discovery),
        cmocka_unit_test(alignment),        cmocka_unit_test(policies),
        cmocka_unit_test(no_false_witness), cmocka_unit_test(no_answers),
        cmocka_unit_test(forwarders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

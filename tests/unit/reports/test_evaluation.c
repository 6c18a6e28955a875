/* What a message leaves: what was done about DMARC, and why; no addresses; nothing about reports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "reports/evaluation.h"

static struct settings set;
static struct message *m;
static struct policy policy;
static struct decision decisions[2];
static struct verdict verdict;
static const char *inbox[] = {"in@gate.example"};
static struct rcpt rcpts[2];

static int setup(void **state)
{
    (void)state;
    set = (struct settings){.dmarc = {.on_reject = OUT_REJECT, .on_quarantine = OUT_TAG},
                            .reports = {.from = "from@gate.example",
                                        .recipient_domain = true,
                                        .inbox = {.v = inbox, .n = 1}}};
    m = message_new(0);
    m->received = (usec)1763683200 * USEC_PER_SEC;
    m->has_envelope = true;
    m->peer.has_ip = ip_parse(SPAN("192.0.2.1"), &m->peer.ip);
    rcpts[0] = (struct rcpt){.addr = SPAN("bob@Example.ORG")};
    rcpts[1] = (struct rcpt){.addr = SPAN("eve@example.org")};
    m->env =
        (struct envelope){.from = SPAN("Alice@Mail.Bank.Example"), .rcpts = rcpts, .nrcpts = 2};
    m->facts.auth.ran = true;
    m->facts.auth.mailfrom =
        (struct spf_fact){.result = SPF_SOFTFAIL, .domain = SPAN("mail.bank.example")};
    m->facts.auth.dmarc = (struct dmarc_fact){.result = DMARC_FAIL,
                                              .domain = SPAN("bank.example"),
                                              .organisation = SPAN("bank.example"),
                                              .record_domain = SPAN("bank.example"),
                                              .record = SPAN("v=DMARC1; p=reject"),
                                              .policy = DMARC_POLICY_REJECT,
                                              .disposition = DMARC_POLICY_REJECT};
    decisions[0] = (struct decision){.policy = &policy, .outcome = OUT_REJECT};
    decisions[1] = decisions[0];
    verdict = (struct verdict){decisions, 1};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    message_free(m);
    return 0;
}

static struct agg_row row(void)
{
    struct agg_report r;
    assert_true(evaluation_row(&set, m, &verdict, m->arena, &r));
    assert_int_equal(r.n, 1);
    assert_true(span_eq(r.policy.domain, SPAN("bank.example")));
    assert_int_equal(r.begin, 1763683200);
    return r.rows[0];
}

static void expect(const char *disposition, const char *reason)
{
    struct agg_row w = row();
    if (!span_eq(w.disposition, span_str(disposition)) || !span_eq(w.reason, span_str(reason)))
        fail_msg("%.*s, '%.*s'", SPAN_ARG(w.disposition), SPAN_ARG(w.reason));
}

static void what_was_done(void **state)
{
    struct dmarc_fact *d = &m->facts.auth.dmarc;
    (void)state;
    expect("reject", "");
    /* The settings are milder than the domain; a policy of ours lets it go; spam for other reasons
     * is nobody's business. */
    set.dmarc.on_reject = OUT_TAG;
    expect("quarantine", "local_policy");
    set.dmarc.on_reject = OUT_ACCEPT;
    expect("none", "local_policy");
    set.dmarc.on_reject = OUT_REJECT;
    decisions[0].outcome = OUT_ACCEPT;
    expect("none", "local_policy");
    verdict.n = 2; /* one group of two was refused */
    expect("reject", "");
    verdict.n = 1;
    /* What DMARC itself takes back. */
    d->disposition = DMARC_POLICY_NONE;
    d->override = "trusted_forwarder";
    expect("none", "trusted_forwarder");
    d->disposition = DMARC_POLICY_QUARANTINE;
    d->override = "policy_test_mode";
    decisions[0].outcome = OUT_HOLD;
    expect("quarantine", "policy_test_mode");
    d->policy = d->disposition = DMARC_POLICY_NONE;
    d->override = NULL;
    decisions[0].outcome = OUT_REJECT; /* a virus */
    expect("none", "");
    d->policy = DMARC_POLICY_REJECT;
    d->result = DMARC_TEMPERROR;
    expect("none", "other");
    d->result = DMARC_PASS;
    expect("none", "");
}

static bool none(void)
{
    struct agg_report r;
    return !evaluation_row(&set, m, &verdict, m->arena, &r);
}

static void nothing(void **state)
{
    struct dmarc_fact *d = &m->facts.auth.dmarc;
    (void)state;
    d->result = DMARC_NONE;
    assert_true(none());
    d->result = DMARC_FAIL;
    d->record_domain = SPAN_NONE;
    assert_true(none());
    d->record_domain = SPAN("bank.example");
    m->facts.auth.ran = false;
    assert_true(none());
    m->facts.auth.ran = true;
    decisions[0].outcome = OUT_DEFER; /* it comes again */
    assert_true(none());
    decisions[0].outcome = OUT_ACCEPT;
    rcpts[1].addr = SPAN("IN@gate.example");
    assert_true(none());
    rcpts[1].addr = SPAN("from@gate.example");
    assert_false(none());
    m->env.from = SPAN("");
    assert_true(none()); /* a bounce of ours */
    rcpts[1].addr = SPAN("eve@example.org");
    assert_false(none());
}

static void add_dkim(const char *domain, enum dkim_result result)
{
    struct auth_facts *f = &m->facts.auth;
    *ARENA_PUSH(m->arena, f->dkim, f->ndkim, f->dkim_cap) =
        (struct dkim_fact){.result = result,
                           .domain = span_str(domain),
                           .selector = SPAN("s"),
                           .why = SPAN("why not")};
}

static void identifiers(void **state)
{
    (void)state;
    add_dkim("x.example", DKIM_FAIL);
    add_dkim("y.example", DKIM_PASS);
    add_dkim("news.bank.example", DKIM_PASS);
    add_dkim("bank.example", DKIM_PASS);
    for (int i = 0; i < 100; i++)
        add_dkim("many.example", DKIM_PERMERROR);
    struct agg_row w = row();
    assert_true(span_eq(w.ip, SPAN("192.0.2.1")));
    assert_true(span_eq(w.header_from, SPAN("bank.example")));
    assert_true(span_eq(w.envelope_from, SPAN("mail.bank.example")));
    assert_true(span_eq(w.envelope_to, SPAN("example.org")));
    /* The most telling first, and no more than are told. */
    assert_int_equal(w.nauth, AGG_AUTHS_MAX);
    assert_true(span_eq(w.auth[0].domain, SPAN("bank.example")));
    assert_true(span_eq(w.auth[1].domain, SPAN("news.bank.example")));
    assert_true(span_eq(w.auth[2].domain, SPAN("y.example")));
    assert_true(span_eq(w.auth[3].domain, SPAN("x.example")));
    assert_true(span_eq(w.auth[3].human, SPAN("why not")));
    const struct agg_auth *spf = &w.auth[AGG_AUTHS_MAX - 1];
    assert_true(spf->spf && span_eq(spf->result, SPAN("softfail")));
    assert_true(span_eq(spf->scope, SPAN("mfrom")));
    /* Two domains, or none wanted: not told. */
    rcpts[1].addr = SPAN("eve@example.net");
    assert_int_equal(row().envelope_to.n, 0);
    rcpts[1].addr = SPAN("eve@example.org");
    set.reports.recipient_domain = false;
    assert_int_equal(row().envelope_to.n, 0);
    /* Nowhere is anybody named. */
    struct agg_report r;
    struct buf b = {0};
    assert_true(evaluation_row(&set, m, &verdict, m->arena, &r));
    agg_encode(&b, &r);
    assert_int_equal(span_isearch(buf_span(&b), SPAN("alice")), SIZE_MAX);
    assert_int_equal(span_isearch(buf_span(&b), SPAN("bob")), SIZE_MAX);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_done, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(identifiers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "verdict/verdict.h"

static void judge(const struct policies *p, const struct virus_settings *virus,
                  const struct message *m, struct arena *a, struct verdict *out)
{
    struct policy_set *ps = policy_set_of(p);
    verdict_decide(ps, virus, m, NULL, NULL, a, out);
    policy_set_free(ps);
}

static bool wants_scan(const struct policies *p, const struct message *m)
{
    struct policy_set *ps = policy_set_of(p);
    bool yes = verdict_wants_scan(ps, m, m->arena);
    policy_set_free(ps);
    return yes;
}

/* A message with two recipients and policies that a test changes as it needs. */
struct scene {
    struct arena *a;
    struct message m;
    struct policy v[3];
    struct policies policies;
    struct virus_settings virus;
    struct verdict out;
};

static struct policy stock(const char *name)
{
    return (struct policy){.name = name,
                           .scan = true,
                           .required_score = 5,
                           .reject_score = 15,
                           .on_spam = OUT_TAG,
                           .on_high_spam = OUT_REJECT,
                           .on_virus = OUT_REJECT};
}

static void add_rcpt(struct scene *s, const char *addr)
{
    struct envelope *e = &s->m.env;
    *ARENA_PUSH(s->a, e->rcpts, e->nrcpts, e->cap) = (struct rcpt){.addr = span_str(addr)};
}

static int setup(void **state)
{
    static struct scene s;
    s = (struct scene){.a = arena_new(0), .policies = {s.v, 1}};
    s.v[0] = stock("default");
    s.virus.enabled = true;
    s.m.arena = s.a;
    s.m.has_envelope = true;
    s.m.env.from = SPAN("ann@sender.example");
    add_rcpt(&s, "bob@example.org");
    add_rcpt(&s, "eve@sales.example.org");
    s.m.facts.rules = (struct rules_facts){.ran = true, .score = 1.25};
    s.m.facts.virus.state = VIRUS_CLEAN;
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    arena_free(((struct scene *)*state)->a);
    return 0;
}

static const struct decision *decided(struct scene *s)
{
    judge(&s->policies, &s->virus, &s->m, s->a, &s->out);
    assert_int_equal(s->out.n, 1);
    return &s->out.v[0];
}

static void expect(struct scene *s, enum outcome o, const char *reason, const char *detail)
{
    const struct decision *d = decided(s);
    assert_string_equal(outcome_name(d->outcome), outcome_name(o));
    assert_string_equal(d->reason, reason);
    assert_true(span_eq(d->detail, span_str(detail)));
}

static void scores(void **state)
{
    struct scene *s = *state;
    expect(s, OUT_ACCEPT, "clean", "score 1.2 < 5.0");
    assert_false(s->out.v[0].spam);
    s->m.facts.rules.score = 5;
    expect(s, OUT_TAG, "spam", "score 5.0 >= 5.0");
    assert_true(s->out.v[0].spam);
    s->m.facts.rules.score = 0.1 + 0.2 + 4.7 - 1e-12;
    expect(s, OUT_TAG, "spam", "score 5.0 >= 5.0");
    s->m.facts.rules.score = 4.999;
    expect(s, OUT_ACCEPT, "clean", "score 4.999 < 5.000");
    s->m.facts.rules.score = 15.04;
    expect(s, OUT_REJECT, "spam", "score 15.0 >= 15.0");
    s->v[0].on_high_spam = OUT_DISCARD;
    expect(s, OUT_DISCARD, "spam", "score 15.0 >= 15.0");
}

static void viruses(void **state)
{
    struct scene *s = *state;
    s->m.facts.virus.state = VIRUS_FOUND;
    s->m.facts.virus.name = SPAN("Eicar-Test-Signature");
    expect(s, OUT_REJECT, "virus", "Eicar-Test-Signature");
    s->m.facts.rules.score = 20;
    s->v[0].on_virus = OUT_HOLD;
    expect(s, OUT_HOLD, "virus", "Eicar-Test-Signature");
    /* Passing viruses does not pass spam. */
    s->v[0].on_virus = OUT_ACCEPT;
    expect(s, OUT_REJECT, "spam", "score 20.0 >= 15.0");
    s->m.facts.rules.score = 6;
    expect(s, OUT_TAG, "virus", "Eicar-Test-Signature");
    s->m.facts.rules.score = 0;
    expect(s, OUT_ACCEPT, "virus", "Eicar-Test-Signature");
    /* A word for viruses alone, which the configuration refuses for spam. */
    s->m.facts.rules.score = 6;
    s->v[0].on_spam = OUT_CLEAN;
    expect(s, OUT_HOLD, "spam", "score 6.0 >= 5.0");
    s->m.facts.rules.score = 0;
    s->virus.enabled = false;
    expect(s, OUT_ACCEPT, "clean", "score 0.0 < 5.0");
}

static void cleaning(void **state)
{
    struct scene *s = *state;
    struct virus_facts *v = &s->m.facts.virus;
    struct virus_part part = {.number = 2, .name = SPAN("Eicar")};
    static struct policy_action clean = {.kind = ACTION_CLEAN, .text = "gone"};
    *v = (struct virus_facts){.state = VIRUS_FOUND, .name = SPAN("Eicar")};
    s->v[0].on_virus = OUT_CLEAN;
    expect(s, OUT_HOLD, "virus", "Eicar; can't be taken out: its parts were not looked at");
    v->uncleanable = SPAN("it is in no single part");
    expect(s, OUT_HOLD, "virus", "Eicar; can't be taken out: it is in no single part");
    v->parts = &part;
    v->nparts = 1;
    v->cleanable = true;
    expect(s, OUT_CLEAN, "virus", "Eicar");
    assert_int_equal(s->out.v[0].clean->kind, ACTION_CLEAN);
    s->m.facts.rules.score = 6; /* marked as well */
    expect(s, OUT_CLEAN, "virus", "Eicar");
    assert_true(s->out.v[0].spam);
    s->m.facts.rules.score = 20;
    expect(s, OUT_REJECT, "spam", "score 20.0 >= 15.0");
    s->m.facts.rules.score = 0;
    part.sealed = true;
    expect(s, OUT_HOLD, "virus", "Eicar; can't be taken out: in a signed or encrypted part");
    s->v[0].touch_signed = true;
    expect(s, OUT_CLEAN, "virus", "Eicar");
    /* As an action it comes before the setting. */
    s->v[0].on_virus = OUT_REJECT;
    expect(s, OUT_REJECT, "virus", "Eicar");
    s->v[0].actions = (struct policy_actions){&clean, 1};
    expect(s, OUT_CLEAN, "virus", "Eicar");
    assert_ptr_equal(s->out.v[0].clean, &clean);
    v->state = VIRUS_CLEAN;
    expect(s, OUT_ACCEPT, "clean", "score 0.0 < 5.0");
}

static void failing_engine(void **state)
{
    struct scene *s = *state;
    static const struct {
        enum virus_state state;
        const char *reason;
    } rows[] = {
        {VIRUS_ERROR, "virus engine does not answer"},
        {VIRUS_NOT_RUN, "virus check did not run"},
        {VIRUS_NO_ENGINE, "no virus engine"},
        {VIRUS_TOO_LARGE, "too large for the virus engine"},
        {VIRUS_ENCRYPTED, "encrypted, the virus engine can't look inside"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct virus_settings *v = &s->virus;
        s->m.facts.virus.state = rows[i].state;
        s->m.facts.virus.detail = SPAN("timeout");
        enum on_fail *on = rows[i].state == VIRUS_NO_ENGINE   ? &v->on_no_engine
                           : rows[i].state == VIRUS_TOO_LARGE ? &v->on_too_large
                           : rows[i].state == VIRUS_ENCRYPTED ? &v->on_encrypted
                                                              : &v->on_error;
        v->on_no_engine = v->on_too_large = v->on_encrypted = v->on_error = FAIL_PASS;
        s->m.facts.rules.score = 1;
        *on = FAIL_DEFER;
        expect(s, OUT_DEFER, rows[i].reason, "timeout");
        assert_false(s->out.v[0].unscanned);
        *on = FAIL_HOLD;
        expect(s, OUT_HOLD, rows[i].reason, "timeout");
        *on = FAIL_PASS;
        expect(s, OUT_ACCEPT, rows[i].reason, "timeout");
        assert_true(s->out.v[0].unscanned);
        s->m.facts.rules.score = 7;
        expect(s, OUT_TAG, "spam", "score 7.0 >= 5.0");
        assert_true(s->out.v[0].unscanned);
        *on = FAIL_DEFER;
        expect(s, OUT_DEFER, rows[i].reason, "timeout");
        s->m.facts.rules.score = 17;
        expect(s, OUT_REJECT, "spam", "score 17.0 >= 15.0");
    }
    s->virus.enabled = false;
    s->m.facts.rules.score = 1;
    s->m.facts.virus.state = VIRUS_NOT_RUN;
    expect(s, OUT_ACCEPT, "clean", "score 1.0 < 5.0");
}

static void failing_rules(void **state)
{
    struct scene *s = *state;
    struct skipped one = {"rules/SLOW_RULE", SPAN("match limit")};
    s->m.facts.skipped = &one;
    s->m.facts.nskipped = 1;
    expect(s, OUT_ACCEPT, "clean", "score 1.2 < 5.0");
    one = (struct skipped){"rules", SPAN("no rule directory")};
    s->m.facts.rules = (struct rules_facts){0};
    expect(s, OUT_DEFER, "rules could not run", "no rule directory");
    s->m.facts.virus = (struct virus_facts){.state = VIRUS_FOUND, .name = SPAN("X")};
    expect(s, OUT_REJECT, "virus", "X");
    /* Rules turned off by configuration: nothing is skipped. */
    s->m.facts.nskipped = 0;
    s->m.facts.virus.state = VIRUS_CLEAN;
    expect(s, OUT_ACCEPT, "clean", NULL);
}

static void groups_by_policy(void **state)
{
    struct scene *s = *state;
    static const char *sales[] = {".sales.example.org"};
    static const char *nobody[] = {"carl@example.org", "*-list@example.org"};
    s->v[0] = stock("sales");
    s->v[0].recipients = (struct strings){sales, 1};
    s->v[0].required_score = 8;
    s->v[1] = stock("raw");
    s->v[1].recipients = (struct strings){nobody, 2};
    s->v[1].scan = false;
    s->v[2] = stock("default");
    s->policies.n = 3;
    add_rcpt(s, "Big-List@EXAMPLE.org");
    add_rcpt(s, "dora@example.org");
    s->m.facts.rules.score = 6;
    judge(&s->policies, &s->virus, &s->m, s->a, &s->out);
    assert_int_equal(s->out.n, 3);
    const struct decision *d = s->out.v;
    assert_string_equal(d[0].policy->name, "default");
    assert_int_equal(d[0].nrcpts, 2);
    assert_int_equal(d[0].rcpts[1], 3);
    assert_int_equal(d[0].outcome, OUT_TAG);
    assert_string_equal(d[1].policy->name, "sales");
    assert_int_equal(d[1].outcome, OUT_ACCEPT);
    assert_int_equal(d[1].rcpts[0], 1);
    assert_string_equal(d[2].reason, "policy raw does not scan");
    assert_int_equal(d[2].rcpts[0], 2);
    assert_true(wants_scan(&s->policies, &s->m));
    s->m.env.rcpts += 2;
    s->m.env.nrcpts = 1;
    assert_false(wants_scan(&s->policies, &s->m));
}

static void all_conditions_must_hold(void **state)
{
    struct scene *s = *state;
    static const char *from[] = {"@sender.example"}, *listener[] = {"submission"};
    struct cidr net;
    assert_true(cidr_parse(SPAN("192.0.2.0/24"), &net));
    s->v[0] = stock("partner");
    s->v[0].senders = (struct strings){from, 1};
    s->v[0].listeners = (struct strings){listener, 1};
    s->v[0].clients = (struct cidrs){&net, 1};
    s->v[1] = stock("default");
    s->policies.n = 2;
    struct peer *p = &s->m.peer;
    assert_string_equal(decided(s)->policy->name, "default");
    p->has_ip = ip_parse(SPAN("192.0.2.7"), &p->ip);
    assert_string_equal(decided(s)->policy->name, "default");
    p->listener = SPAN("submission");
    assert_string_equal(decided(s)->policy->name, "partner");
    s->m.env.from = SPAN("");
    assert_string_equal(decided(s)->policy->name, "default");
}

static struct policy_action order(enum action_kind kind, const char *text)
{
    return (struct policy_action){.kind = kind, .text = text};
}

static void actions_decide(void **state)
{
    struct scene *s = *state;
    static const char *from[] = {"@sender.example"};
    struct policy_action x = order(ACTION_REJECT, "550 5.7.1 no");
    s->v[0] = stock("mine");
    s->v[0].senders = (struct strings){from, 1};
    s->v[0].actions = (struct policy_actions){&x, 1};
    s->v[1] = stock("default");
    s->policies.n = 2;
    expect(s, OUT_REJECT, "policy", "mine");
    assert_ptr_equal(s->out.v[0].order, &x);
    x = order(ACTION_HOLD, "looks odd");
    expect(s, OUT_HOLD, "policy", "looks odd");
    x = order(ACTION_TAG, NULL);
    expect(s, OUT_TAG, "policy", "mine");
    assert_true(s->out.v[0].spam);
    x = order(ACTION_ACCEPT, NULL);
    s->m.facts.rules.score = 20;
    expect(s, OUT_ACCEPT, "policy", "mine");
    assert_false(s->out.v[0].spam);
    /* What spares from spam does not spare from viruses, nor from checks that failed. */
    s->m.facts.virus.state = VIRUS_ERROR;
    expect(s, OUT_DEFER, "virus engine does not answer", "");
    s->m.facts.virus.state = VIRUS_FOUND;
    s->m.facts.virus.name = SPAN("Eicar");
    expect(s, OUT_REJECT, "virus", "Eicar");
    x = order(ACTION_DISCARD, NULL);
    expect(s, OUT_DISCARD, "policy", "mine");
}

/* Policies that go on add themselves; recipients with other sets of them are other groups. */
static void policies_that_go_on_make_groups(void **state)
{
    struct scene *s = *state;
    static const char *sales[] = {".example.org"}, *bob[] = {"bob@example.org"};
    s->v[0] = stock("below");
    s->v[0].recipients = (struct strings){sales, 1};
    s->v[0].go_on = true;
    s->v[1] = stock("bob");
    s->v[1].recipients = (struct strings){bob, 1};
    s->v[2] = stock("default");
    s->policies.n = 3;
    add_rcpt(s, "joe@elsewhere.example");
    judge(&s->policies, &s->virus, &s->m, s->a, &s->out);
    assert_int_equal(s->out.n, 3);
    const struct decision *d = s->out.v;
    assert_int_equal(d[0].napplied, 2);
    assert_string_equal(d[0].applied[0].policy->name, "below");
    assert_string_equal(d[0].policy->name, "bob");
    assert_int_equal(d[1].napplied, 2);
    assert_string_equal(d[1].policy->name, "default");
    assert_int_equal(d[2].napplied, 1);
    assert_int_equal(d[2].rcpts[0], 2);
}

static void files_have_the_default_policy(void **state)
{
    struct scene *s = *state;
    s->m.has_envelope = false;
    assert_int_equal(decided(s)->nrcpts, 0);
    assert_string_equal(decided(s)->policy->name, "default");
}

static void patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *addr;
        bool match;
    } rows[] = {
        {"bob@example.org", "Bob@Example.ORG", true},
        {"bob@example.org", "bob@example.org.evil", false},
        {"@example.org", "bob@example.org", true},
        {"@example.org", "bob@sub.example.org", false},
        {"example.org", "bob@example.org", true},
        {"example.org", "bob@notexample.org", false},
        {".example.org", "bob@example.org", true},
        {".example.org", "bob@a.b.example.org", true},
        {".example.org", "bob@notexample.org", false},
        {"postmaster@", "Postmaster@any.example", true},
        {"postmaster@", "xpostmaster@any.example", false},
        {"<>", "", true},
        {"<>", "a@b", false},
        {"*", "", true},
        {"*@*.example.org", "x@y.example.org", true},
        {"*@*.example.org", "x@example.org", false},
        {"b?b@example.org", "bob@example.org", true},
        {"a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
        {"@example.org", "\"odd@left\"@example.org", true},
        {"@example.org", "no-domain", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (address_matches(rows[i].pattern, span_str(rows[i].addr)) != rows[i].match)
            fail_msg("%s on %s is not %d", rows[i].pattern, rows[i].addr, rows[i].match);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scores, setup, teardown),
        cmocka_unit_test_setup_teardown(viruses, setup, teardown),
        cmocka_unit_test_setup_teardown(cleaning, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_engine, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(groups_by_policy, setup, teardown),
        cmocka_unit_test_setup_teardown(all_conditions_must_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(actions_decide, setup, teardown),
        cmocka_unit_test_setup_teardown(policies_that_go_on_make_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(files_have_the_default_policy, setup, teardown),
        cmocka_unit_test(patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

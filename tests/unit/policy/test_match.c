#include "policy_test.h"

#define RAW                                                                                        \
    "From: Ann <ann@sender.example>\r\nSubject: =?utf-8?q?Rechnung_f=C3=BCr_Sie?=\r\n"             \
    "X-Twice: one\r\nX-Twice: two\r\n\r\nhello\r\n"

static enum match judge(const char *conditions, void (*prepare)(struct message *m))
{
    char yaml[2048];
    snprintf(yaml, sizeof yaml,
             "relay: {domains: [example.org, .sub.example.org], networks: [198.51.100.0/24]}\n"
             "policies:\n  - name: x\n    do: hold\n    %s\n",
             conditions);
    struct scene s = scene_of(yaml, RAW);
    if (prepare)
        prepare(s.m);
    enum match m = match_of(&s, STAGE_END, "bob@example.org");
    scene_end(&s);
    return m;
}

static void conditions_of_the_session(void **state)
{
    (void)state;
    static const struct {
        const char *condition;
        enum match match;
    } rows[] = {
        {"helo: '*.sender.example'", MATCH_YES},
        {"helo: ['*.SENDER.example', '!helo.*']", MATCH_NO},
        {"helo: '!other'", MATCH_YES},
        {"helo: '/^helo\\.(sender|x)\\.example$/'", MATCH_YES},
        {"helo: '/^HELO/'", MATCH_NO},
        {"helo: '/^HELO/i'", MATCH_YES},
        {"client_names: 'mail.*'", MATCH_YES},
        {"client_names: ['']", MATCH_NO},
        {"clients: [192.0.2.0/24]", MATCH_YES},
        {"clients: [192.0.3.0/24]", MATCH_NO},
        {"listeners: [mx]", MATCH_YES},
        {"senders: ['@sender.example']", MATCH_YES},
        {"senders: ['<>']", MATCH_NO},
        {"senders: '/^ann@/'", MATCH_YES},
        {"recipients: ['@example.org', '!bob@example.org']", MATCH_NO},
        {"recipients: ['@example.org', '!joe@example.org']", MATCH_YES},
        {"users: '*'", MATCH_NO},
        {"users: '!ann'", MATCH_YES},
        {"direction: [inbound]", MATCH_YES},
        {"direction: [outbound, internal]", MATCH_NO},
        {"size: '< 1KiB'", MATCH_YES},
        {"size: '1KiB..2KiB'", MATCH_NO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (judge(rows[i].condition, NULL) != rows[i].match)
            fail_msg("%s", rows[i].condition);
}

static void of_our_user(struct message *m)
{
    m->peer.auth_user = SPAN("ann");
}

static void in_our_network(struct message *m)
{
    ip_parse(SPAN("198.51.100.9"), &m->peer.ip);
}

static void directions(void **state)
{
    (void)state;
    assert_int_equal(judge("direction: [internal]", of_our_user), MATCH_YES);
    assert_int_equal(judge("direction: [internal]", in_our_network), MATCH_YES);
    assert_int_equal(judge("direction: [inbound]", in_our_network), MATCH_NO);
    struct scene s = scene_of("relay: {domains: [example.org], networks: [192.0.2.0/24]}\n"
                              "policies:\n  - {name: x, direction: [outbound], do: hold}\n",
                              RAW);
    assert_int_equal(match_of(&s, STAGE_END, "joe@elsewhere.example"), MATCH_YES);
    assert_int_equal(match_of(&s, STAGE_END, "joe@Example.ORG"), MATCH_NO);
    assert_int_equal(match_of(&s, STAGE_RCPT, "joe@elsewhere.example"), MATCH_YES);
    assert_int_equal(match_of(&s, STAGE_MAIL, NULL), MATCH_LATER);
    scene_end(&s);
}

static struct rule_hit hits[] = {{.name = "BAYES_99"}, {.name = "URIBL_BLACK"}};
static const char *subrules[] = {"__HAS_URL"};

static void with_facts(struct message *m)
{
    m->facts.rules = (struct rules_facts){.ran = true,
                                          .score = 7.9999999,
                                          .hits = hits,
                                          .nhits = 2,
                                          .subrules = subrules,
                                          .nsubrules = 1};
    m->facts.virus.state = VIRUS_FOUND;
    m->facts.virus.name = SPAN("Win.Test.EICAR_HDB-1");
    static struct dkim_fact dkim[2];
    dkim[0] = (struct dkim_fact){.result = DKIM_FAIL, .domain = SPAN("evil.example")};
    dkim[1] = (struct dkim_fact){.result = DKIM_PASS, .domain = SPAN("sender.example")};
    m->facts.auth.ran = true;
    m->facts.auth.mailfrom.result = SPF_SOFTFAIL;
    m->facts.auth.mailfrom.domain = SPAN("sender.example");
    m->facts.auth.dkim = dkim;
    m->facts.auth.ndkim = 2;
    m->facts.auth.dmarc.result = DMARC_FAIL;
}

static void conditions_of_the_content(void **state)
{
    (void)state;
    static const struct {
        const char *condition;
        enum match match;
    } rows[] = {
        {"score: '>= 8'", MATCH_YES},
        {"score: '> 8'", MATCH_NO},
        {"score: '5..10'", MATCH_YES},
        {"score: '< -1'", MATCH_NO},
        {"rules: BAYES_99", MATCH_YES},
        {"rules: ['BAYES_*', '!URIBL_*']", MATCH_NO},
        {"rules: __HAS_URL", MATCH_YES},
        {"rules: bayes_5*", MATCH_NO},
        {"virus: '*'", MATCH_YES},
        {"virus: ['*', '!*EICAR*']", MATCH_NO},
        {"header: {Subject: 'Rechnung für*'}", MATCH_YES},
        {"header: {Subject: '/rechnung f.r sie$/i'}", MATCH_YES},
        {"header: {x-twice: two}", MATCH_YES},
        {"header: {x-twice: [three, one]}", MATCH_YES},
        {"header: {X-Twice: [two, '!*']}", MATCH_NO},
        {"header: {X-Absent: false, From: true}", MATCH_YES},
        {"header: {X-Absent: '*'}", MATCH_NO},
        {"header: {X-Absent: true}", MATCH_NO},
        {"auth: {spf: [fail, softfail]}", MATCH_YES},
        {"auth: {spf: [pass]}", MATCH_NO},
        {"auth: {dkim: [pass]}", MATCH_YES},
        {"auth: {dkim: [fail]}", MATCH_NO},
        {"auth: {dkim_domain: '*.example'}", MATCH_YES},
        {"auth: {dkim_domain: 'evil.example'}", MATCH_NO},
        {"auth: {dmarc: [fail], arc: [none]}", MATCH_YES},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (judge(rows[i].condition, with_facts) != rows[i].match)
            fail_msg("%s", rows[i].condition);
    assert_int_equal(judge("score: '< 100'", NULL), MATCH_NO); /* the rules did not run */
    assert_int_equal(judge("virus: '*'", NULL), MATCH_NO);
}

static void what_is_not_known_yet_is_open(void **state)
{
    (void)state;
    static const struct {
        const char *condition;
        enum policy_stage known;
    } rows[] = {
        {"clients: [192.0.2.0/24]", STAGE_CONNECT},
        {"listeners: [mx]", STAGE_CONNECT},
        {"client_names: '*'", STAGE_CONNECT},
        {"helo: '*'", STAGE_HELO},
        {"senders: '*'", STAGE_MAIL},
        {"recipients: '*'", STAGE_RCPT},
        {"direction: [inbound]", STAGE_RCPT},
        {"size: '> 1'", STAGE_END},
        {"header: {From: true}", STAGE_END},
        {"parts: {type: text/plain}", STAGE_END},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char yaml[512];
        snprintf(yaml, sizeof yaml, "policies:\n  - {name: x, %s, do: reject}\n",
                 rows[i].condition);
        struct scene s = scene_of(yaml, RAW);
        assert_int_equal(policy_stage_of(policy_set_get(s.ps, 0)), rows[i].known);
        for (enum policy_stage at = STAGE_CONNECT; at <= STAGE_END; at++) {
            enum match want = at < rows[i].known ? MATCH_LATER : MATCH_YES;
            if (match_of(&s, at, "bob@example.org") != want)
                fail_msg("%s at %s", rows[i].condition, policy_stage_name(at));
        }
        scene_end(&s);
    }
}

/* The stage at which the policies refuse. */
static const char *refused_at(const char *policies)
{
    static char at[32];
    char yaml[1024];
    const struct policy_action *action;
    snprintf(yaml, sizeof yaml, "policies:\n%s", policies);
    struct scene s = scene_of(yaml, RAW);
    snprintf(at, sizeof at, "never");
    for (enum policy_stage stage = STAGE_CONNECT; stage < STAGE_END; stage++) {
        struct policy_view v = view_at(&s, stage, "bob@example.org");
        const struct policy *p = policy_early(s.ps, &v, &action);
        if (p) {
            snprintf(at, sizeof at, "%s by %s", policy_stage_name(stage), p->name);
            break;
        }
    }
    scene_end(&s);
    return at;
}

static void decided_as_early_as_is_certain(void **state)
{
    (void)state;
    assert_string_equal(refused_at("  - {name: a, clients: [192.0.2.0/24], do: reject}\n"),
                        "connect by a");
    assert_string_equal(refused_at("  - {name: a, helo: '*', do: defer}\n"), "helo by a");
    assert_string_equal(refused_at("  - {name: a, senders: '*', helo: '*', do: discard}\n"),
                        "mail by a");
    assert_string_equal(refused_at("  - {name: a, score: '> 5', do: reject}\n"), "never");
    assert_string_equal(refused_at("  - {name: a, helo: '*', do: hold}\n"), "never");
    /* A policy before it that may still hold keeps it open. */
    assert_string_equal(refused_at("  - {name: w, recipients: 'postmaster@*', do: accept}\n"
                                   "  - {name: a, clients: [192.0.2.0/24], do: reject}\n"),
                        "rcpt by a");
    assert_string_equal(refused_at("  - {name: w, score: '< 1', do: accept}\n"
                                   "  - {name: a, clients: [192.0.2.0/24], do: reject}\n"),
                        "never");
    /* One that goes on does not: it decides nothing. */
    assert_string_equal(
        refused_at("  - {name: w, score: '< 1', continue: true, do: {add_header: {X-A: b}}}\n"
                   "  - {name: a, clients: [192.0.2.0/24], do: reject}\n"),
        "connect by a");
    assert_string_equal(refused_at("  - {name: w, clients: [192.0.2.7], required_score: 9}\n"
                                   "  - {name: a, clients: [192.0.2.0/24], do: reject}\n"),
                        "never");
}

struct told {
    char text[4096];
};

static void tell(void *ctx, const char *setting, const char *text)
{
    struct told *t = ctx;
    size_t n = strlen(t->text);
    snprintf(t->text + n, sizeof t->text - n, "%s: %s\n", setting, text);
}

static void expect_lint(const char *yaml, const char *want)
{
    struct told t = {""};
    struct settings *s = settings_of(yaml);
    policy_lint(s, tell, &t);
    assert_string_equal(t.text, want);
    settings_free(s);
}

static void what_can_never_match_is_told(void **state)
{
    (void)state;
#define ONE(conditions) "policies:\n  - {name: a, do: hold, " conditions "}\n"
    expect_lint(ONE("score: '10..5'"),
                "policies[0].score: never matches: nothing lies in 'score'\n");
    expect_lint(ONE("size: '> 1GiB'"), "policies[0].size: never matches: no message is larger "
                                       "than limits.message_size\n");
    expect_lint(ONE("helo: [x, '!x']"),
                "policies[0].helo: never matches: 'helo' excludes all that it names\n");
    expect_lint(ONE("helo: [x, y, '!x']"), "");
    expect_lint(ONE("users: ann"), "policies[0].users: never matches: nobody can log in "
                                   "(auth.users_file, auth.dovecot_socket)\n");
    expect_lint(ONE("direction: [outbound]"),
                "policies[0].direction: never matches: nobody is ours; set relay.networks, or let "
                "users log in\n");
    expect_lint("rules: {enabled: no}\n" ONE("score: '> 5'"),
                "policies[0].score: never matches: rules.enabled is false, so there are no scores "
                "and no hits\n");
    expect_lint("virus: {enabled: no}\n" ONE("virus: '*'"),
                "policies[0].virus: never matches: virus.enabled is false\n");
    expect_lint(ONE("score: '> 5', scan: no"),
                "policies[0].scan: comes too late: what the policy asks for is known only after "
                "the scan\n");
    expect_lint("policies:\n  - {name: a, parts: {name: x}, do: {link_part: gone}}\n",
                "policies[0].do: 'link_part': neither _URL_ nor _ID_ is in the text, so nobody can "
                "ask for the part\n");
    expect_lint("policies:\n  - {name: a, parts: {name: x}, do: {replace_part: see _URL_}}\n",
                "policies[0].do: 'replace_part': there is nothing for _URL_; set "
                "quarantine.link_url\n");
    expect_lint("policies:\n  - {name: a, parts: {name: x}, do: [link_part, {link_part: _ID_}]}\n",
                "");
    expect_lint("virus: {enabled: no}\npolicies:\n  - {name: a, senders: ['@x'], do: clean}\n",
                "policies[0].do: 'clean' never finds a virus: virus.enabled is false\n");
    expect_lint("queue: {after_queue: yes}\npolicies:\n  - {name: a, score: '> 5', do: reject}\n",
                "policies[0].do: 'reject' is not possible here: with queue.after_queue the message "
                "has been taken when this is known; it will be held\n");
}

static void what_makes_no_sense_is_told(void **state)
{
    (void)state;
#define HEADERS(tests) "policies:\n  - {name: a, do: hold, header: {" tests "}}\n"
    expect_lint(HEADERS("X-A: false, x-a: foo"),
                "policies[0].header: never matches: 'X-A' is to be there and not to be there\n");
    expect_lint(HEADERS("X-A: false, X-B: true"), "");
    expect_lint(ONE("size: '< 1KiB', parts: {size: '> 2KiB'}"),
                "policies[0].parts.size: never matches: no part is larger than its message\n");
    expect_lint(ONE("size: '> 1KiB', parts: {size: '> 2KiB'}"), "");
    expect_lint("authentication: {enabled: no}\n" ONE("auth: {spf: [fail], dmarc: [none, fail]}"),
                "policies[0].auth.spf: never matches: authentication.enabled is false\n");
    expect_lint("dmarc: {enabled: no}\n" ONE("auth: {spf: [fail], dmarc: [fail]}"),
                "policies[0].auth.dmarc: never matches: dmarc.enabled is false\n");
    expect_lint(ONE("auth: {dkim: [fail], dkim_domain: x.example}"),
                "policies[0].auth.dkim_domain: never matches: a signature of theirs that passes "
                "makes auth.dkim pass\n");
    expect_lint(ONE("auth: {dkim: [fail], dkim_domain: '!x.example'}"), "");
    expect_lint("dns: {client_names: no}\n" ONE("client_names: '*.x'"),
                "policies[0].client_names: never matches: dns.client_names is false\n");
    expect_lint("dns: {client_names: no}\n" ONE("client_names: '!*.x'"), "");
#define OURS "relay: {domains: [x.example], networks: [10.0.0.0/8]}\n"
    expect_lint(OURS ONE("direction: [outbound], recipients: ['@x.example', a@X.example]"),
                "policies[0].direction: never matches: all these recipients are in "
                "relay.domains\n");
    expect_lint(OURS ONE("direction: [internal], recipients: ['@y.example']"),
                "policies[0].direction: never matches: none of these recipients is in "
                "relay.domains\n");
    expect_lint(OURS ONE("direction: [internal], recipients: ['@y.example', '@x.example']"), "");
    expect_lint(OURS ONE("direction: [internal], recipients: ['@*.example']"), "");
    expect_lint(OURS ONE("direction: [internal, outbound], recipients: ['@y.example']"), "");
    expect_lint(ONE("senders: ['@x'], touch_signed: yes"),
                "policies[0].touch_signed: has no effect: the policy changes no parts\n");
#define ASKED "listeners:\n  - {name: s, address: '127.0.0.1:1', protocol: "
    expect_lint(
        ASKED "spamd}\npolicies:\n  - {name: a, listeners: [s], do: {redirect: a@b.c}}\n",
        "policies[0].do: 'redirect' does nothing here: who asks at these listeners delivers "
        "the message himself\n");
    expect_lint(ASKED "milter}\npolicies:\n  - {name: a, listeners: [s], do: {redirect: a@b.c}}\n",
                "");
    expect_lint(ASKED "socketmap}\npolicies:\n  - {name: a, listeners: [s], do: hold}\n",
                "policies[0].listeners: never matches: no message comes to a socketmap\n");
}

static const char *hidden(const char *first, const char *second)
{
    static struct told t;
    char yaml[1024];
    snprintf(yaml, sizeof yaml, "policies:\n  - {name: a, %s}\n  - {name: b, do: hold, %s}\n",
             first, second);
    struct settings *s = settings_of(yaml);
    t.text[0] = '\0';
    policy_lint(s, tell, &t);
    settings_free(s);
    return t.text;
}

static void hidden_policies_are_told(void **state)
{
    (void)state;
    static const char yes[] =
        "policies[1]: the policy 'b' is never reached: 'a' before it takes all of it\n";
    static const struct {
        const char *first, *second;
        bool hidden;
    } rows[] = {
        {"senders: ['@x.example']", "senders: [ann@x.example]", true},
        {"senders: ['@x.example']", "senders: [ann@x.example], helo: y", true},
        {"senders: ['@x.example'], helo: y", "senders: [ann@x.example]", false},
        {"senders: ['@x.example']", "senders: [ann@x.example, joe@y.example]", false},
        {"senders: ['@x.example', '!ann@x.example']", "senders: [ann@x.example]", false},
        {"senders: ['.x.example']", "recipients: [ann@x.example]", false},
        {"helo: '*.dyn.example'", "helo: ['a.dyn.example']", true},
        {"helo: '*.dyn.example'", "helo: '*.example'", false},
        {"helo: '!a'", "helo: '!a'", true},
        {"helo: '!a'", "helo: '!b'", false},
        {"score: '> 5'", "score: '>= 5'", false},
        {"score: '>= 5'", "score: '> 5'", true},
        {"score: '>= 5'", "score: '6..7'", true},
        {"clients: [10.0.0.0/8]", "clients: [10.1.0.0/16, 10.2.0.1]", true},
        {"clients: [10.0.0.0/8]", "clients: [10.1.0.0/16, 11.2.0.1]", false},
        {"parts: {name: '*.exe'}", "parts: {name: 'a.exe', size: '> 1KiB'}", true},
        {"parts: {name: '*.exe', encrypted: true}", "parts: {name: 'a.exe'}", false},
        {"header: {X-A: true}", "header: {x-a: foo}", true},
        {"header: {X-A: foo}", "header: {x-a: true}", false},
        {"auth: {spf: [fail, softfail]}", "auth: {spf: [fail]}", true},
        {"auth: {spf: [fail]}", "auth: {dmarc: [fail]}", false},
        {"senders: ['@x.example'], do: {add_header: {A: b}}, continue: true",
         "senders: ['@x.example']", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(hidden(rows[i].first, rows[i].second), rows[i].hidden ? yes : "") != 0)
            fail_msg("%s | %s", rows[i].first, rows[i].second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_of_the_session),
        cmocka_unit_test(directions),
        cmocka_unit_test(conditions_of_the_content),
        cmocka_unit_test(what_is_not_known_yet_is_open),
        cmocka_unit_test(decided_as_early_as_is_certain),
        cmocka_unit_test(what_can_never_match_is_told),
        cmocka_unit_test(what_makes_no_sense_is_told),
        cmocka_unit_test(hidden_policies_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

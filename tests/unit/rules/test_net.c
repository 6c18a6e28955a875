/* Network rules: what they ask, and what they make of the answers; from a table, without a network.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "rules/ruleset.h"

#define RELAY(ip) "Received: from a.example.net (a.example.net [" ip "]) by mx.example.org; " DATE
#define DATE      "Sun, 22 Nov 2026 07:30:00 +0000\n"

static const char head[] = "loadplugin Mail::SpamAssassin::Plugin::DNSEval\n"
                           "loadplugin Mail::SpamAssassin::Plugin::URIDNSBL\n"
                           "loadplugin Mail::SpamAssassin::Plugin::AskDNS\n"
                           "loadplugin Mail::SpamAssassin::Plugin::HashBL\n"
                           "util_rb_tld example net org com\n";

struct record {
    const char *name;
    enum dns_type type;
    int rcode;
    const char *rdata;
    size_t n;
};
#define R(name, type, rdata)                                                                       \
    {                                                                                              \
        name, type, 0, rdata, sizeof(rdata) - 1                                                    \
    }

struct stand {
    char dir[64];
    const char *dirs[1];
    struct rules_settings settings;
    struct ruleset *rs;
    struct rules_scratch *scratch;
    struct message *m;
    struct rules_work *work;
    char asked[4000]; /* names, each with a space behind it */
};

static void make(struct stand *t, const char *rules)
{
    char path[128];
    struct err e;
    memset(t, 0, sizeof *t);
    snprintf(t->dir, sizeof t->dir, "/tmp/gatehouse-net-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    snprintf(path, sizeof path, "%s/10.cf", t->dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%s%s", head, rules);
    fclose(f);
    t->dirs[0] = t->dir;
    t->settings = (struct rules_settings){.dirs = {t->dirs, 1}, .enabled = true};
    const struct ruleset_options o = {.settings = &t->settings, .threads = 1};
    t->rs = ruleset_load(&o, &e);
    if (!t->rs)
        fail_msg("%s", e.text);
    size_t n;
    const struct rule_problem *p = ruleset_problems(t->rs, &n);
    if (n)
        fail_msg("%s", p->text);
    t->scratch = rules_scratch_new(t->rs);
    t->m = message_new(0);
    unlink(path);
    rmdir(t->dir);
}

static void drop(struct stand *t)
{
    rules_scratch_free(t->scratch);
    ruleset_free(t->rs);
    message_free(t->m);
}

static void answer(struct stand *t, size_t i, const struct record *v, size_t n)
{
    struct rules_question q = rules_question(t->work, i);
    struct span rdata[8];
    struct dns_answer a = {.status = DNS_NONE, .nxdomain = true, .rcode = 3, .rdata = rdata};
    for (size_t k = 0; k < n; k++) {
        if (!span_eq(q.name, span_str(v[k].name)))
            continue;
        a.rcode = v[k].rcode;
        if (v[k].type == q.type && v[k].rdata)
            rdata[a.n++] = span_of(v[k].rdata, v[k].n);
    }
    a.status = a.n ? DNS_OK : DNS_NONE;
    if (rules_answer(t->work, i, &a))
        rules_plan(t->work);
}

/* Judged with these records; the budget is `budget` questions. */
static void judge(struct stand *t, const char *message, const struct record *v, size_t n,
                  size_t budget)
{
    message_reset(t->m);
    t->m->raw = span_str(message);
    t->asked[0] = '\0';
    t->work = rules_open(t->rs, t->scratch, t->m, budget);
    rules_plan(t->work);
    for (size_t i = 0; i < rules_questions(t->work); i++) {
        struct rules_question q = rules_question(t->work, i);
        size_t at = strlen(t->asked);
        snprintf(t->asked + at, sizeof t->asked - at, "%.*s ", SPAN_ARG(q.name));
        if (v)
            answer(t, i, v, n);
    }
    rules_judge(t->work, t->scratch);
}

static bool hit(const struct stand *t, const char *name)
{
    for (size_t i = 0; i < t->m->facts.rules.nhits; i++)
        if (strcmp(t->m->facts.rules.hits[i].name, name) == 0)
            return true;
    return false;
}

static bool asked(const struct stand *t, const char *name)
{
    return strstr(t->asked, name) != NULL;
}

static bool told(const struct stand *t, const char *check)
{
    for (size_t i = 0; i < t->m->facts.nskipped; i++)
        if (strcmp(t->m->facts.skipped[i].check, check) == 0)
            return true;
    return false;
}

#define JUDGE(t, message, ...)                                                                     \
    do {                                                                                           \
        const struct record records[] = {__VA_ARGS__};                                             \
        judge(t, message, records, sizeof records / sizeof *records, 100);                         \
    } while (0)

static void lists_of_addresses(void **state)
{
    struct stand t;
    (void)state;
    make(&t, "header ANY eval:check_rbl('s', 'rbl.example.')\n"
             "header MASK eval:check_rbl_sub('s', '4')\n"
             "header EXACT eval:check_rbl_sub('s', '127.0.0.6')\n"
             "header REGEX eval:check_rbl_sub('s', '^127\\.0\\.1\\.')\n"
             "header TXT eval:check_rbl_txt('x', 'txt.example.', 'bad')\n");
    JUDGE(&t, RELAY("203.0.113.9") "\n", R("9.113.0.203.rbl.example", DNS_A, "\177\0\0\6"),
          R("9.113.0.203.txt.example", DNS_TXT, "\2so\4 bad"));
    assert_true(hit(&t, "ANY") && hit(&t, "MASK") && hit(&t, "EXACT") && hit(&t, "TXT"));
    assert_false(hit(&t, "REGEX"));
    /* an answer outside of 127/8 is none */
    JUDGE(&t, RELAY("203.0.113.9") "\n", R("9.113.0.203.rbl.example", DNS_A, "\12\0\0\6"));
    assert_false(hit(&t, "ANY") || hit(&t, "MASK"));
    /* private addresses are nobody's business */
    JUDGE(&t, RELAY("192.168.1.1") "\n", R("x", DNS_A, "\177\0\0\2"));
    assert_string_equal(t.asked, "");
    drop(&t);
}

static void lists_of_domains_and_their_name_servers(void **state)
{
    struct stand t;
    (void)state;
    make(&t, "urirhssub SUB uri.example. A 2\nbody SUB eval:check_uridnsbl('SUB')\ntflags SUB net\n"
             "urinsrhsbl NS ns.example. A\nbody NS eval:check_uridnsbl('NS')\ntflags NS net\n"
             "uridnsbl_skip_domain good.com\n");
    JUDGE(&t, "Subject: x\n\nhttp://www.bad.com/ http://good.com/ mailto:x@mail.org\n",
          R("bad.com.uri.example", DNS_A, "\177\0\0\3"), R("bad.com", DNS_NS, "\1a\6hoster\3net\0"),
          R("hoster.net.ns.example", DNS_A, "\177\0\0\2"));
    assert_true(hit(&t, "SUB"));
    assert_true(hit(&t, "NS")); /* found by a question that an answer led to */
    assert_false(asked(&t, "good.com") || asked(&t, "mail.org"));
    JUDGE(&t, "Subject: x\n\nhttp://www.bad.com/\n", R("bad.com.uri.example", DNS_A, "\177\0\0\4"),
          R("bad.com", DNS_NS, "\1a\6hoster"));
    assert_false(hit(&t, "SUB") || hit(&t, "NS"));
    drop(&t);
}

static void names_made_of_tags(void **state)
{
    struct stand t;
    (void)state;
    make(&t, "askdns A _AUTHORDOMAIN_.ask.example A 127.0.0.2-127.0.0.5\n"
             "askdns B _AUTHORDOMAIN_.ask.example A [NXDOMAIN]\n"
             "askdns C _AUTHORDOMAIN_ TXT /^v=spf1/\n"
             "askdns D _NOSUCHTAG_.x.example A\n");
    const char mail[] = "From: a@shop.com\n\nx\n";
    JUDGE(&t, mail, R("shop.com.ask.example", DNS_A, "\177\0\0\5"),
          R("shop.com", DNS_TXT, "\7v=spf1 "));
    assert_true(hit(&t, "A") && hit(&t, "C"));
    assert_false(hit(&t, "B") || hit(&t, "D"));
    JUDGE(&t, mail, R("nobody.example", DNS_A, "\177\0\0\5"));
    assert_true(hit(&t, "B"));
    assert_false(hit(&t, "A"));
    drop(&t);
}

static void what_is_not_answered_does_not_hit_and_is_told(void **state)
{
    struct stand t;
    (void)state;
    make(&t, "askdns A _AUTHORDOMAIN_.ask.example A\nmeta M !A\n");
    judge(&t, "From: a@shop.com\n\nx\n", NULL, 0, 100);
    assert_false(hit(&t, "A"));
    assert_true(hit(&t, "M"));
    assert_true(told(&t, "rules/network"));
    judge(&t, "From: a@shop.com\n\nx\n", NULL, 0, 0);
    assert_string_equal(t.asked, "");
    assert_true(told(&t, "rules/network_questions"));
    drop(&t);
}

static void restricted_names_are_not_asked(void **state)
{
    struct stand t;
    (void)state;
    make(&t, "dns_query_restriction deny example\ndns_query_restriction allow ok.example\n"
             "askdns A _AUTHORDOMAIN_.no.example A\naskdns B _AUTHORDOMAIN_.ok.example A\n");
    JUDGE(&t, "From: a@shop.com\n\nx\n", R("shop.com.ok.example", DNS_A, "\177\0\0\2"));
    assert_string_equal(t.asked, "shop.com.ok.example ");
    assert_true(hit(&t, "B"));
    drop(&t);
}

static void hashes_of_addresses(void **state)
{
    struct stand t;
    (void)state;
    make(&t, "header E eval:check_hashbl_emails('h.example', 'md5/notag/nodot', 'From')\n"
             "tflags E net\n");
    /* md5 of "abc@shop.com" */
    JUDGE(&t, "From: A.b.C+tag@shop.com\n\nx\n",
          R("01a9009b30362a01767720b2c43c6b49.h.example", DNS_A, "\177\0\0\2"));
    assert_true(asked(&t, ".h.example"));
    assert_int_equal(strchr(t.asked, '.') - t.asked, 32);
    drop(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_addresses),
        cmocka_unit_test(lists_of_domains_and_their_name_servers),
        cmocka_unit_test(names_made_of_tags),
        cmocka_unit_test(what_is_not_answered_does_not_hit_and_is_told),
        cmocka_unit_test(restricted_names_are_not_asked),
        cmocka_unit_test(hashes_of_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

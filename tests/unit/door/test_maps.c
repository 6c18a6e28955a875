#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <crypt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "door/access.h"
#include "door/asks.h"
#include "door/recipients.h"
#include "door/users.h"

static void note(void *ctx, const char *text)
{
    buf_str(ctx, text);
    buf_char(ctx, '|');
}

static struct lookup look(const char *addr)
{
    struct smtp_path p;
    struct lookup l = {0};
    if (addr[0]) {
        assert_int_equal(mailbox_parse(span_str(addr), true, &p), PATH_OK);
        assert_true(lookup_make(&p, &l));
    }
    return l;
}

/* ---- access map ---- */

static const char access_text[] = "# who may do what\n"
                                  "Connect:192.0.2\t\tREJECT\n"
                                  "Connect:192.0.2.7\t\tOK\n"
                                  "Connect:192.0.2.128/25\tERROR:4.7.1:\"450 later\"\n"
                                  "connect:10.0.0.0/8\tRELAY\n"
                                  "Connect:IPv6:2001:db8\tREJECT\n"
                                  "Connect:IPv6:2001:db8:1:0:0:0:0:1\tOK\n"
                                  "Connect:bad.example\tREJECT\n"
                                  "Connect:good.bad.example\tSKIP\n"
                                  "198.51.100\tDISCARD\n"
                                  "From:spam@x.example\tREJECT\n"
                                  "From:x.example\tERROR:5.7.1:\"550 not from there\"\n"
                                  "From:ok.x.example\tOK\n"
                                  "From:root@\tDISCARD\n"
                                  "From:<>\tERROR:\"550 5.7.0 no bounces\"\n"
                                  "To:nobody@example.org\t550 gone away\n"
                                  "To:example.com\tRELAY\n"
                                  "To:.sub.example\tREJECT\n"
                                  "plain.example\tREJECT\n"
                                  "To:plain.example\tOK\n";

static struct access_rule client(const struct access *a, const char *ip, const char *name)
{
    struct ip parsed;
    assert_true(ip_parse(span_str(ip), &parsed));
    return access_client(a, &parsed, span_str(name));
}

static void access_by_client(void **state)
{
    (void)state;
    struct buf said = {0};
    struct access *a = access_read(span_str(access_text), "access", note, &said);
    assert_int_equal(said.n, 0);
    static const struct {
        const char *ip, *name;
        enum access_verb verb;
    } cases[] = {
        {"192.0.2.1", NULL, ACCESS_REJECT},
        {"192.0.2.7", NULL, ACCESS_OK},
        {"192.0.2.200", NULL, ACCESS_ERROR},
        {"192.0.3.1", NULL, ACCESS_NONE},
        {"10.255.0.1", NULL, ACCESS_RELAY},
        {"11.0.0.1", NULL, ACCESS_NONE},
        {"2001:db8::1", NULL, ACCESS_REJECT},
        {"2001:db8:1::1", NULL, ACCESS_OK},
        {"2001:db9::1", NULL, ACCESS_NONE},
        {"198.51.100.9", NULL, ACCESS_DISCARD},
        {"203.0.113.1", "mail.bad.example", ACCESS_REJECT},
        {"203.0.113.1", "BAD.example", ACCESS_REJECT},
        {"203.0.113.1", "x.good.bad.example", ACCESS_NONE},
        {"203.0.113.1", "notbad.example", ACCESS_NONE},
        {"192.0.2.7", "bad.example", ACCESS_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (client(a, cases[i].ip, cases[i].name).verb != cases[i].verb)
            fail_msg("%s %s", cases[i].ip, cases[i].name ? cases[i].name : "");
    assert_true(span_eq(client(a, "192.0.2.200", NULL).reply, SPAN("450 4.7.1 later")));
    access_free(a);
}

static void access_by_address(void **state)
{
    (void)state;
    struct access *a = access_read(span_str(access_text), "access", NULL, NULL);
    static const struct {
        const char *addr;
        enum access_verb from, to;
    } cases[] = {
        {"spam@x.example", ACCESS_REJECT, ACCESS_NONE},
        {"SPAM@X.Example", ACCESS_REJECT, ACCESS_NONE},
        {"spam+tag@x.example", ACCESS_REJECT, ACCESS_NONE},
        {"ham@x.example", ACCESS_ERROR, ACCESS_NONE},
        {"ham@deep.x.example", ACCESS_ERROR, ACCESS_NONE},
        {"ham@ok.x.example", ACCESS_OK, ACCESS_NONE},
        {"root@anywhere.example", ACCESS_DISCARD, ACCESS_NONE},
        {"", ACCESS_ERROR, ACCESS_NONE},
        {"nobody@example.org", ACCESS_NONE, ACCESS_ERROR},
        {"a@example.com", ACCESS_NONE, ACCESS_RELAY},
        {"a@mail.example.com", ACCESS_NONE, ACCESS_RELAY},
        {"a@notexample.com", ACCESS_NONE, ACCESS_NONE},
        {"a@sub.example", ACCESS_NONE, ACCESS_NONE},
        {"a@one.sub.example", ACCESS_NONE, ACCESS_REJECT},
        {"a@plain.example", ACCESS_REJECT, ACCESS_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lookup l = look(cases[i].addr);
        if (access_sender(a, &l).verb != cases[i].from)
            fail_msg("from %s: %d", cases[i].addr, access_sender(a, &l).verb);
        if (cases[i].addr[0] && access_recipient(a, &l).verb != cases[i].to)
            fail_msg("to %s: %d", cases[i].addr, access_recipient(a, &l).verb);
    }
    struct lookup l = look("ham@x.example");
    assert_true(span_eq(access_sender(a, &l).reply, SPAN("550 5.7.1 not from there")));
    l = look("nobody@example.org");
    assert_true(span_eq(access_recipient(a, &l).reply, SPAN("550 5.7.1 gone away")));
    access_free(a);
}

static void bad_access_lines_are_named(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Connect:192.0.2 PERHAPS",
        "Connect:192.0.2.0/33 OK",
        "Connect:300.1.1.1 OK",
        "Connect:a@b.example OK",
        "From:a b OK",
        "To:a@ ERROR:nonsense",
        "To:a@b.example ERROR:5.1.1:\"450 classes differ\"",
        "To:a@b.example ERROR:\"250 welcome\"",
        "To:a@b.example 999 what",
        "To:@b.example@ OK",
        "From:-x.example OK",
        "lonely.example",
        "x.example ERROR:\"550 bell \x07\"",
        "From:x.example QUARANTINE:",
        "From:x.example QUARANTINE",
        "From:x.example QUARANTINE:bell \x07",
        "Spam:abuse@ OK",
        "Spam:192.0.2.0/24 FRIEND",
        "GreetPause:192.0.2 soon",
        "GreetPause:a@b.example 5",
        "ClientRate:192.0.2 -1",
        "ClientConn: 1000001",
        "ClientConn:",
        "Srv_Features:192.0.2 A",
        "Try_TLS:mail.example NO",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf text = {0}, said = {0};
        buf_printf(&text, "good.example REJECT\n%s\nafter.example REJECT\n", bad[i]);
        struct access *a = access_read(buf_span(&text), "access", note, &said);
        if (said.n == 0 || strncmp(said.p, "access:2: ", 10) != 0)
            fail_msg("%s: %s", bad[i], said.n ? said.p : "was taken");
        struct lookup before = look("a@good.example"), after = look("a@after.example");
        assert_int_equal(access_sender(a, &before).verb, ACCESS_REJECT);
        assert_int_equal(access_sender(a, &after).verb, ACCESS_REJECT);
        access_free(a);
        buf_free(&text);
        buf_free(&said);
    }
}

static void access_quarantine(void **state)
{
    (void)state;
    struct access *a = access_read(SPAN("From:odd.example QUARANTINE: look at it \n"
                                        "To:probe@example.org quarantine:\"by hand\"\n"
                                        "Connect:192.0.2.5 QUARANTINE:that client\n"),
                                   "access", NULL, NULL);
    struct lookup l = look("a@odd.example");
    struct access_rule r = access_sender(a, &l);
    assert_int_equal(r.verb, ACCESS_QUARANTINE);
    assert_true(span_eq(r.reply, SPAN("look at it")));
    l = look("probe@example.org");
    r = access_recipient(a, &l);
    assert_int_equal(r.verb, ACCESS_QUARANTINE);
    assert_true(span_eq(r.reply, SPAN("by hand")));
    assert_int_equal(client(a, "192.0.2.5", NULL).verb, ACCESS_QUARANTINE);
    access_free(a);
}

static void access_numbers(void **state)
{
    (void)state;
    struct access *a = access_read(SPAN("GreetPause:192.0.2 5000\n"
                                        "GreetPause:192.0.2.7 0\n"
                                        "GreetPause:slow.example 900\n"
                                        "ClientRate: 10\n"
                                        "ClientRate:IPv6:2001:db8 3\n"
                                        "ClientConn:10.0.0.0/8 4\n"
                                        "192.0.2 REJECT\n"),
                                   "access", NULL, NULL);
    static const struct {
        enum access_number what;
        const char *ip, *name;
        long want;
    } cases[] = {
        {ACCESS_GREET_PAUSE, "192.0.2.1", NULL, 5000},
        {ACCESS_GREET_PAUSE, "192.0.2.7", NULL, 0},
        {ACCESS_GREET_PAUSE, "198.51.100.1", "mx.slow.example", 900},
        {ACCESS_GREET_PAUSE, "198.51.100.1", NULL, -1},
        {ACCESS_CLIENT_RATE, "198.51.100.1", NULL, 10},
        {ACCESS_CLIENT_RATE, "2001:db8::5", NULL, 3},
        {ACCESS_CLIENT_CONN, "10.9.8.7", NULL, 4},
        {ACCESS_CLIENT_CONN, "192.0.2.1", NULL, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ip ip;
        unsigned n = 0;
        assert_true(ip_parse(span_str(cases[i].ip), &ip));
        bool some = access_number(a, cases[i].what, &ip, span_str(cases[i].name), &n);
        if (some != (cases[i].want >= 0) || (some && n != (unsigned)cases[i].want))
            fail_msg("case %zu: %d %u", i, some, n);
    }
    access_free(a);
}

static void access_delay_checks(void **state)
{
    (void)state;
    struct access *a = access_read(SPAN("From:bad.example REJECT\n"
                                        "Connect:192.0.2 ERROR:\"550 5.7.1 not you\"\n"
                                        "Spam:abuse@ FRIEND\n"
                                        "Spam:careful@example.org HATER\n"
                                        "Spam:hated.example HATER\n"),
                                   "access", NULL, NULL);
    static const struct {
        enum access_delay mode;
        const char *ip, *from, *to;
        bool refused;
    } cases[] = {
        {ACCESS_DELAY_NO, "192.0.2.1", "a@bad.example", "bob@example.org", false},
        {ACCESS_DELAY_YES, "192.0.2.1", "a@good.example", "bob@example.org", true},
        {ACCESS_DELAY_YES, "198.51.100.1", "a@bad.example", "bob@example.org", true},
        {ACCESS_DELAY_YES, "198.51.100.1", "a@good.example", "bob@example.org", false},
        {ACCESS_DELAY_FRIEND, "198.51.100.1", "a@bad.example", "bob@example.org", true},
        {ACCESS_DELAY_FRIEND, "192.0.2.1", "a@bad.example", "abuse@example.org", false},
        {ACCESS_DELAY_FRIEND, "192.0.2.1", "", "abuse@example.org", false},
        {ACCESS_DELAY_HATER, "192.0.2.1", "a@bad.example", "bob@example.org", false},
        {ACCESS_DELAY_HATER, "192.0.2.1", "a@good.example", "careful@example.org", true},
        {ACCESS_DELAY_HATER, "198.51.100.1", "a@bad.example", "x@mail.hated.example", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ip ip;
        struct lookup from = look(cases[i].from), to = look(cases[i].to);
        assert_true(ip_parse(span_str(cases[i].ip), &ip));
        struct access_rule r = access_delayed(a, cases[i].mode, &ip, SPAN_NONE, &from, &to);
        if (access_refuses(&r) != cases[i].refused)
            fail_msg("case %zu", i);
    }
    access_free(a);
}

/* ---- domains ---- */

static void relay_domains(void **state)
{
    (void)state;
    char path[] = "/tmp/gatehouse-domains-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "# ours\nfile.example\n.below.example\nnot a domain\n-bad.example\n";
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    const char *list[] = {"Example.ORG", ".sub.example.org",
                          ("b\xc3\xbc"
                           "cher.example")};
    struct relay_settings set = {.domains = {list, 3}, .domains_file = path};
    struct domains *d = domains_open(&set);
    assert_true(domains_ok(d));
    static const struct {
        const char *domain;
        bool ours;
    } cases[] = {{"example.org", true},
                 {"www.example.org", false},
                 {"x.sub.example.org", true},
                 {"sub.example.org", false},
                 {"a.b.sub.example.org", true},
                 {"xn--bcher-kva.example", true},
                 {"file.example", true},
                 {"a.below.example", true},
                 {"below.example", false},
                 {"notexample.org", false},
                 {"org", false},
                 {"", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (domains_has(d, span_str(cases[i].domain)) != cases[i].ours)
            fail_msg("%s", cases[i].domain);
    domains_free(d);
    unlink(path);
    d = domains_open(&set);
    assert_false(domains_ok(d));
    domains_free(d);
}

static void one_form_for_a_domain(void **state)
{
    (void)state;
    struct lookup l = look("J\xc3\xb6rg@B\xc3\x9c"
                           "CHER.example");
    assert_true(span_eq(lookup_domain(&l), SPAN("xn--bcher-kva.example")));
    l = look("Bob@EXAMPLE.org");
    assert_true(span_eq(lookup_addr(&l), SPAN("bob@example.org")));
    /* A look-alike (Cyrillic a) is another domain. */
    l = look("bob@ex\xd0\xb0mple.org");
    assert_false(span_eq(lookup_domain(&l), SPAN("example.org")));
    assert_true(span_starts(lookup_domain(&l), SPAN("xn--")));
}

/* ---- recipients ---- */

static void recipients_from_a_list(void **state)
{
    (void)state;
    char path[] = "/tmp/gatehouse-rcpts-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] =
        "Bob@example.org\n@all.example OK\nout@example.org ERROR:550 5.1.6 moved\n"
        "nonsense\nx@example.org WHAT\n";
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    struct recipient_settings set = {.check = RCPT_LIST, .file = path};
    struct recipients *r = recipients_open(&set);
    static const struct {
        const char *addr;
        enum recipient_status status;
    } cases[] = {{"bob@example.org", RECIPIENT_OK},    {"BOB+tag@example.org", RECIPIENT_OK},
                 {"any@all.example", RECIPIENT_OK},    {"out@example.org", RECIPIENT_REFUSED},
                 {"x@example.org", RECIPIENT_UNKNOWN}, {"eve@example.org", RECIPIENT_UNKNOWN}};
    struct span reply;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lookup l = look(cases[i].addr);
        assert_int_equal(recipients_check(r, &l, 0, &reply), cases[i].status);
        if (cases[i].status == RECIPIENT_REFUSED)
            assert_true(span_eq(reply, SPAN("550 5.1.6 moved")));
    }
    recipients_free(r);
    unlink(path);
    r = recipients_open(&set);
    struct lookup l = look("bob@example.org");
    assert_int_equal(recipients_check(r, &l, 0, &reply), RECIPIENT_TROUBLE);
    recipients_free(r);
}

static void callouts_are_remembered(void **state)
{
    (void)state;
    struct recipient_settings set = {.check = RCPT_CALLOUT,
                                     .callout_positive = 100,
                                     .callout_negative = 10,
                                     .callout_cache = 100};
    struct recipients *r = recipients_open(&set);
    struct lookup bob = look("bob@example.org"), eve = look("eve@example.org");
    struct span reply;
    assert_int_equal(recipients_check(r, &bob, 0, &reply), RECIPIENT_ASK);
    recipients_learn(r, SPAN("bob@example.org"), ANSWER_LATER, 0);
    assert_int_equal(recipients_check(r, &bob, 0, &reply), RECIPIENT_ASK);
    recipients_learn(r, SPAN("bob@example.org"), ANSWER_YES, 0);
    recipients_learn(r, SPAN("eve@example.org"), ANSWER_NO, 0);
    assert_int_equal(recipients_check(r, &bob, 99, &reply), RECIPIENT_OK);
    assert_int_equal(recipients_check(r, &eve, 9, &reply), RECIPIENT_UNKNOWN);
    assert_int_equal(recipients_check(r, &bob, 101, &reply), RECIPIENT_ASK);
    assert_int_equal(recipients_check(r, &eve, 11, &reply), RECIPIENT_ASK);

    char probe[PROBE_SIZE], second[PROBE_SIZE];
    assert_true(recipients_probe(r, SPAN("example.org"), 0, probe));
    assert_true(recipients_probe(r, SPAN("example.org"), 0, second));
    assert_string_not_equal(probe, second);
    recipients_learn(r, span_str(probe), ANSWER_NO, 0);
    assert_false(recipients_probe(r, SPAN("example.org"), 5, probe));
    assert_int_equal(recipients_check(r, &eve, 50, &reply), RECIPIENT_ASK);
    assert_true(recipients_probe(r, SPAN("catch.example"), 0, probe));
    recipients_learn(r, span_str(probe), ANSWER_YES, 0);
    struct lookup any = look("whoever@catch.example");
    assert_int_equal(recipients_check(r, &any, 50, &reply), RECIPIENT_OK);
    assert_int_equal(recipients_check(r, &any, 150, &reply), RECIPIENT_ASK);
    recipients_free(r);
}

static void the_cache_is_bounded(void **state)
{
    (void)state;
    struct recipient_settings set = {.check = RCPT_CALLOUT,
                                     .callout_positive = 1000000,
                                     .callout_negative = 1000000,
                                     .callout_cache = 64};
    struct recipients *r = recipients_open(&set);
    struct span reply;
    char addr[64];
    for (int i = 0; i < 5000; i++) {
        snprintf(addr, sizeof addr, "user%d@example.org", i);
        recipients_learn(r, span_str(addr), ANSWER_YES, i);
    }
    int known = 0;
    for (int i = 0; i < 5000; i++) {
        snprintf(addr, sizeof addr, "user%d@example.org", i);
        struct lookup l = look(addr);
        known += recipients_check(r, &l, 5000, &reply) == RECIPIENT_OK;
    }
    assert_true(known > 30 && known <= 68);
    snprintf(addr, sizeof addr, "user4999@example.org"); /* the newest stays */
    struct lookup l = look(addr);
    assert_int_equal(recipients_check(r, &l, 5000, &reply), RECIPIENT_OK);
    recipients_free(r);
}

/* ---- users ---- */

static void passwords(void **state)
{
    (void)state;
    assert_true(sodium_init() >= 0);
    char path[] = "/tmp/gatehouse-users-XXXXXX", argon[crypto_pwhash_STRBYTES];
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    assert_int_equal(crypto_pwhash_str(argon, "geheim", 6, crypto_pwhash_OPSLIMIT_MIN,
                                       crypto_pwhash_MEMLIMIT_MIN),
                     0);
    fprintf(f, "# users\nanna:%s\n", crypt("secret", "$6$rounds=1000$abcdefgh$"));
    fprintf(f, "bert@example.org:%s:extra\n", argon);
    fprintf(f, "carl:%s\n", crypt("secret", "ab")); /* DES: does not count */
    fprintf(f, "dora:secret\n");
    fprintf(f, "yves:%s\n", crypt("secret", "$y$j75$abcdefgh$"));
    fclose(f);
    static const struct {
        const char *user, *password;
        enum users_answer answer;
    } cases[] = {{"anna", "secret", USERS_YES},
                 {"anna", "Secret", USERS_NO},
                 {"anna", "", USERS_NO},
                 {"Anna", "secret", USERS_NO},
                 {"bert@example.org", "geheim", USERS_YES},
                 {"bert@example.org", "geheim ", USERS_NO},
                 {"bert", "geheim", USERS_NO},
                 {"carl", "secret", USERS_NO},
                 {"dora", "secret", USERS_NO},
                 {"yves", "secret", USERS_YES},
                 {"nobody", "secret", USERS_NO},
                 {"# users", "", USERS_NO},
                 {"", "", USERS_NO}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (users_check(path, cases[i].user, cases[i].password, strlen(cases[i].password)) !=
            cases[i].answer)
            fail_msg("%s %s", cases[i].user, cases[i].password);
    unlink(path);
    assert_int_equal(users_check(path, "anna", "secret", 6), USERS_TROUBLE);
}

/* ---- asks ---- */

static void late_answers_find_nobody(void **state)
{
    (void)state;
    struct asks all = {0};
    int owner, target;
    struct ask *a = ask_new(&all, ASK_SCAN, &owner, &target);
    uint64_t tag = a->tag;
    assert_true(tag != 0);
    assert_ptr_equal(ask_find(&all, tag, ASK_SCAN), a);
    assert_null(ask_find(&all, tag, ASK_STORE));
    ask_end(&all, a);
    assert_null(ask_find(&all, tag, ASK_SCAN));
    struct ask *b = ask_new(&all, ASK_SCAN, &owner, &target);
    assert_ptr_equal(b, a); /* the place is used again, the tag is not */
    assert_true(b->tag != tag);
    assert_null(ask_find(&all, tag, ASK_SCAN));
    assert_null(ask_find(&all, UINT64_MAX, ASK_SCAN));
    for (int i = 0; i < 500; i++)
        ask_new(&all, ASK_RCPT, &owner, &target);
    assert_ptr_equal(ask_find(&all, b->tag, ASK_SCAN), b);
    asks_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(access_by_client),
        cmocka_unit_test(access_by_address),
        cmocka_unit_test(bad_access_lines_are_named),
        cmocka_unit_test(access_quarantine),
        cmocka_unit_test(access_numbers),
        cmocka_unit_test(access_delay_checks),
        cmocka_unit_test(relay_domains),
        cmocka_unit_test(one_form_for_a_domain),
        cmocka_unit_test(recipients_from_a_list),
        cmocka_unit_test(callouts_are_remembered),
        cmocka_unit_test(the_cache_is_bounded),
        cmocka_unit_test(passwords),
        cmocka_unit_test(late_answers_find_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "config/print.h"
#include "config/settings.h"

struct box {
    char dir[64], file[96];
};

static void put(const struct box *b, const char *text, size_t n)
{
    FILE *f = fopen(b->file, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
}

static int box_open(void **state)
{
    struct box *b = calloc(1, sizeof *b);
    snprintf(b->dir, sizeof b->dir, "/tmp/gatehouse-config-XXXXXX");
    if (!mkdtemp(b->dir))
        return -1;
    snprintf(b->file, sizeof b->file, "%s/g.yaml", b->dir);
    *state = b;
    return 0;
}

static int box_close(void **state)
{
    struct box *b = *state;
    unlink(b->file);
    rmdir(b->dir);
    free(b);
    return 0;
}

static struct settings *load(struct box *b, const char *text)
{
    struct err e = {0};
    put(b, text, strlen(text));
    struct settings *s = settings_load(b->file, &e);
    if (!s)
        fail_msg("%s", e.text);
    return s;
}

/* All problems of `text`, one a line, with the file's name left out. */
static void expect_bytes(struct box *b, const char *text, size_t n, const char *wanted)
{
    struct settings_problems p = {0};
    char got[8192] = "";
    size_t used = 0, skip = strlen(b->file) + 1;
    put(b, text, n);
    struct settings *s = settings_load_all(b->file, &p);
    for (size_t i = 0; i < p.n; i++) {
        assert_memory_equal(p.v[i].text, b->file, skip - 1);
        used += (size_t)snprintf(got + used, sizeof got - used, "%s\n", p.v[i].text + skip);
    }
    if (strcmp(got, wanted) != 0)
        fail_msg("wanted:\n%sgot:\n%s", wanted, got);
    assert_true((s == NULL) == (p.n > 0));
    settings_free(s);
    settings_problems_free(&p);
}

static void expect(struct box *b, const char *text, const char *wanted)
{
    expect_bytes(b, text, strlen(text), wanted);
}

static void values_of_every_type_are_read(void **state)
{
    struct box *b = *state;
    struct settings *s = load(b, "hostname: mx.example.org\n"
                                 "line_endings: normalise\n"
                                 "paths: {state: ../state, spool: ./a/../queue}\n"
                                 "limits:\n"
                                 "  message_size: 1.5MiB\n"
                                 "  recipients: 7\n"
                                 "  command_timeout: 1m30s\n"
                                 "rules:\n"
                                 "  required_score: -2.5\n"
                                 "  dirs: [rules, /usr/share/x]\n"
                                 "relay:\n"
                                 "  domains:\n"
                                 "    - example.org\n"
                                 "    - .example.net\n"
                                 "  networks: [192.0.2.0/24, '2001:db8::/32', 10]\n"
                                 "queue:\n"
                                 "  retry: [1500ms, 1h, 2d]\n"
                                 "  bounce: off\n");
    char path[128];
    assert_string_equal(s->file, b->file);
    assert_string_equal(s->hostname, "mx.example.org");
    assert_string_equal(s->queue.helo, "mx.example.org");
    assert_string_equal(s->queue.bounce_from, "postmaster@mx.example.org");
    assert_int_equal(s->line_endings, LINES_NORMALISE);
    assert_string_equal(s->paths.state, "/tmp/state");
    snprintf(path, sizeof path, "%s/queue", b->dir);
    assert_string_equal(s->paths.spool, path);
    assert_int_equal(s->limits.message_size, 3 << 19);
    assert_int_equal(s->limits.recipients, 7);
    assert_int_equal(s->limits.command_timeout, 90 * USEC_PER_SEC);
    assert_true(s->rules.required_score == -2.5);
    snprintf(path, sizeof path, "%s/rules", b->dir);
    assert_string_equal(s->rules.dirs.v[0], path);
    assert_string_equal(s->rules.dirs.v[1], "/usr/share/x");
    assert_int_equal(s->relay.domains.n, 2);
    assert_string_equal(s->relay.domains.v[1], ".example.net");
    assert_int_equal(s->relay.networks.n, 3);
    assert_int_equal(s->relay.networks.v[0].bits, 120);
    assert_int_equal(s->relay.networks.v[1].bits, 32);
    assert_int_equal(s->queue.retry.n, 3);
    assert_int_equal(s->queue.retry.v[0], 1500000);
    assert_int_equal(s->queue.retry.v[2], 2 * 86400 * USEC_PER_SEC);
    assert_false(s->queue.bounce);
    settings_free(s);
}

static void routes_and_sockets_follow_the_directory_of_the_file(void **state)
{
    struct box *b = *state;
    char text[128];
    struct settings *s = load(b, "routes: {fallback: 'maildir:../mail'}\n"
                                 "log: {target: ./log/gate.log}\n"
                                 "virus: {clamd: ['unix:clamd.sock', '127.0.0.1:3310']}\n");
    assert_string_equal(s->routes.fallback, "maildir:/tmp/mail");
    snprintf(text, sizeof text, "%s/log/gate.log", b->dir);
    assert_string_equal(s->log.target, text);
    snprintf(text, sizeof text, "unix:%s/clamd.sock", b->dir);
    assert_string_equal(s->virus.clamd.v[0], text);
    assert_string_equal(s->virus.clamd.v[1], "127.0.0.1:3310");
    settings_free(s);
    s = load(b, "routes: {fallback: 'lmtp:127.0.0.1:24'}\n");
    assert_string_equal(s->routes.fallback, "lmtp:127.0.0.1:24");
    settings_free(s);
}

static void listeners_take_what_follows_from_their_profile(void **state)
{
    struct settings *s =
        load(*state, "tls: {certificate: /c.pem}\n"
                     "auth: {users_file: /u}\n"
                     "listeners:\n"
                     "  - address: '[::]:25'\n"
                     "    proxy_from: [10.0.0.0/8]\n"
                     "  - {address: '0.0.0.0:587', profile: submission}\n"
                     "  - {address: '127.0.0.1:26', tls: none, require_auth: ~}\n");
    assert_int_equal(s->listeners.n, 3);
    const struct listener *l = s->listeners.v;
    assert_string_equal(l[0].name, "mx");
    assert_string_equal(l[0].certificate, "/c.pem");
    assert_string_equal(l[0].key, "/c.pem");
    assert_int_equal(l[0].tls, TLS_MODE_STARTTLS);
    assert_int_equal(l[0].proxy_from.n, 1);
    assert_false(l[0].require_auth);
    assert_string_equal(l[1].name, "submission");
    assert_true(l[1].require_auth);
    assert_string_equal(l[2].name, "mx-2");
    assert_int_equal(l[2].tls, TLS_MODE_NONE);
    assert_false(l[2].require_auth);
    settings_free(s);
}

static void policies_inherit_from_the_default(void **state)
{
    struct settings *s = load(*state, "rules: {required_score: 4, reject_score: 9}\n"
                                      "policies:\n"
                                      "  - name: sales\n"
                                      "    recipients: ['@sales.example.org']\n"
                                      "    reject_score: 30\n"
                                      "  - name: lists\n"
                                      "    senders: ['*-bounces@lists.example.org']\n"
                                      "    on_spam: accept\n"
                                      "    required_score: null\n"
                                      "  - name: default\n"
                                      "    subject_tag: '[SPAM] '\n"
                                      "    headers: mimedefang\n");
    assert_int_equal(s->policies.n, 3);
    const struct policy *p = s->policies.v;
    assert_true(p[0].required_score == 4 && p[0].reject_score == 30);
    assert_string_equal(p[0].subject_tag, "[SPAM] ");
    assert_int_equal(p[0].headers, HEADERS_MIMEDEFANG);
    assert_int_equal(p[1].on_spam, OUT_ACCEPT);
    assert_true(p[1].required_score == 4 && p[1].reject_score == 9);
    assert_string_equal(p[2].name, "default");
    assert_int_equal(p[2].on_spam, OUT_TAG);
    settings_free(s);
}

static void a_policy_list_without_default_gets_one(void **state)
{
    struct settings *s =
        load(*state, "policies:\n  - {name: a, clients: [10.0.0.0/8], scan: no}\n");
    assert_int_equal(s->policies.n, 2);
    assert_false(s->policies.v[0].scan);
    assert_string_equal(s->policies.v[1].name, "default");
    assert_true(s->policies.v[1].scan);
    settings_free(s);
}

static void unknown_names_are_told_with_the_nearest(void **state)
{
    expect(*state, "listners: []\n",
           "1:1: unknown setting 'listners' (did you mean 'listeners'?)\n");
    expect(*state, "limits:\n  mesage_size: 1MiB\n  zzz: 1\n",
           "2:3: unknown setting 'mesage_size' in 'limits' (did you mean 'message_size'?)\n"
           "3:3: unknown setting 'zzz' in 'limits'\n");
    expect(*state, "message_size: 1MiB\n",
           "1:1: unknown setting 'message_size' (it belongs under 'limits')\n");
    expect(*state, "limits.message_size: 1MiB\n", "1:1: unknown setting 'limits.message_size'\n");
    expect(*state, "virus: {hostname: x}\n",
           "1:9: unknown setting 'hostname' in 'virus' (it belongs to the top level)\n");
    expect(*state, "listeners:\n  - address: 127.0.0.1:25\n    adress: x\n",
           "3:5: unknown listener setting 'adress' (did you mean 'address'?)\n");
    expect(*state, "policies:\n  - name: a\n    senders: ['@x']\n    on_spamm: tag\n",
           "4:5: unknown policy setting 'on_spamm' (did you mean 'on_spam'?)\n");
}

#define P(rest) "policies:\n  - name: a\n    helo: x\n    " rest "\n"

static void policies_are_read(void **state)
{
    struct settings *s = load(
        *state, P("parts: {name: ['*.exe', '/^a/i'], size: '> 1MiB', encrypted: true}\n"
                  "    header: {X-A: [x, y], X-B: false}\n    score: '5..7.5'\n"
                  "    auth: {spf: [fail], dmarc: [fail, none]}\n"
                  "    do:\n      - reject: No programs here\n"
                  "      - add_header: {X-One: 1, X-Two: 2}\n      - delete_header: [X-C, X-D]\n"
                  "      - {replace_part: \"a\\nb\"}\n      - copy: archive@example.org\n"
                  "      - notify: {to: [sender, joe@example.org], text: hi}\n"
                  "      - add_disclaimer: {text: t, html: <p>h</p>}"));
    const struct policy *p = &s->policies.v[0];
    assert_true(p->parts.given && p->parts.name.n == 2 && p->parts.encrypted == WHETHER_YES);
    assert_true(p->parts.size.from == 1 << 20 && p->parts.size.above);
    assert_int_equal(p->header.n, 2);
    assert_string_equal(p->header.v[0].name, "X-A");
    assert_int_equal(p->header.v[0].patterns.n, 2);
    assert_int_equal(p->header.v[1].present, WHETHER_NO);
    assert_true(p->score.from == 5 && p->score.to == 7.5);
    assert_int_equal(p->auth.dmarc.n, 2);
    assert_int_equal(p->actions.n, 9);
    const struct policy_action *x = p->actions.v;
    assert_string_equal(x[0].text, "550 5.7.1 No programs here");
    assert_string_equal(x[2].name, "X-Two");
    assert_string_equal(x[4].name, "X-D");
    assert_string_equal(x[5].text, "a\nb");
    assert_string_equal(x[6].to.v[0], "archive@example.org");
    assert_int_equal(x[7].to.n, 2);
    assert_string_equal(x[8].html, "<p>h</p>");
    /* Actions are not lent by the default policy. */
    assert_int_equal(s->policies.v[1].actions.n, 0);
    settings_free(s);
}

static void broken_policies_are_told(void **state)
{
    expect(*state, P("do: rejekt"), "4:9: unknown action 'rejekt' (did you mean 'reject'?)\n");
    expect(*state, P("do: [accept: now]"), "4:18: 'accept' takes nothing more\n");
    expect(*state, P("do: add_header"),
           "4:9: 'add_header' needs to be told what; write 'add_header: ...'\n");
    expect(*state, P("do: {add_header: {'X A': b}}"),
           "4:23: expected the name of a header field such as X-Mailer, not 'X A'\n");
    expect(
        *state, P("do: {reject: '250 2.0.0 ok'}"),
        "4:18: expected a text, or a reply such as '550 5.7.1 Refused by policy', not '250 2.0.0 "
        "ok'\n");
    expect(*state, P("do: {copy: [a@b, nobody]}"),
           "4:22: 'copy': expected an address such as archive@example.org\n");
    expect(*state, P("do: {notify: {text: x}}"),
           "4:18: 'notify': to whom? Give it 'to', an address, sender or recipients\n");
    expect(*state, P("parts: {nam: x}"),
           "4:13: unknown setting 'nam' in 'parts' (did you mean 'name'?)\n");
    expect(*state, P("parts: {name: '/(/'}"),
           "4:19: 'name': the regular expression '(' is broken at character 2: missing closing "
           "parenthesis\n");
    expect(*state, P("senders: '/x/q'"),
           "4:14: 'senders': expected /regex/ with flags i, s, m or x, not '/x/q'\n");
    expect(*state, P("score: 5"),
           "4:12: 'score': expected a comparison such as '>= 5', '< 3' or '5..10', not '5'\n");
    expect(*state, P("size: '> 5'\n    score: '> x'"),
           "5:12: 'score': expected a comparison such as '>= 5', '< 3' or '5..10', not '> x'\n");
    expect(*state, P("direction: [up]"),
           "4:17: 'direction': expected one of inbound, outbound, internal, not 'up'\n");
    expect(*state, P("header: {X-A: {}}"),
           "4:19: 'X-A': expected a pattern, a list of them, true or false, not a section\n");
    expect(
        *state, P("auth: {spf: [bad]}"),
        "4:18: 'spf': expected one of none, neutral, pass, fail, softfail, temperror, permerror, "
        "not 'bad'\n");
}

static void wrong_types_are_told(void **state)
{
    expect(*state, "hostname: [a]\n", "1:11: 'hostname': expected a text, not a list\n");
    expect(*state, "limits: 7\n", "1:9: 'limits': expected a section, not a single value\n");
    expect(*state, "limits:\n  recipients: {a: 1}\n",
           "2:15: 'limits.recipients': expected a whole number, not a section\n");
    expect(*state, "relay:\n  domains: example.org\n",
           "2:12: 'relay.domains': expected a list of texts, not a single value\n");
    expect(*state, "relay:\n  domains: [a.example, [b.example]]\n",
           "2:24: 'relay.domains': expected a single value in the list, not a list\n");
    expect(*state, "listeners: 127.0.0.1:25\n",
           "1:12: 'listeners': expected a list of listeners, each starting with '-', not a single "
           "value\n");
    expect(*state, "listeners: [127.0.0.1:25]\n",
           "1:13: 'listeners': expected settings such as 'name: x', not a single value\n"
           "1:13: a listener needs an address, such as '192.0.2.1:25'\n");
    expect(*state, "- a\n",
           "1:1: expected settings such as 'hostname: mail.example.org', not a list\n");
    expect(*state, "? [a]\n: 1\n", "1:3: expected a name, not a list\n");
    expect(*state, "paths: {state: null}\n", "1:16: 'paths.state': expected a path, not null\n");
    expect(*state, "limits:\n  recipients:\n",
           "2:14: 'limits.recipients': expected a whole number, not null\n");
}

static void bad_values_are_told(void **state)
{
    expect(*state, "limits:\n  message_size: big\n  data_timeout: 5\n  recipients: 1.5\n",
           "2:17: 'limits.message_size': expected a size such as 20MiB, not 'big'\n"
           "3:17: 'limits.data_timeout': expected a duration such as 5m or 1h30m, not '5'\n"
           "4:15: 'limits.recipients': expected a whole number, not '1.5'\n");
    expect(*state, "limits: {recipients: 0, message_size: 10GiB, session_time: 2d}\n",
           "1:22: 'limits.recipients': expected a value between 1 and 100000, not '0'\n"
           "1:39: 'limits.message_size': expected a value between 1KiB and 2GiB, not '10GiB'\n"
           "1:60: 'limits.session_time': expected a value between 1s and 1d, not '2d'\n");
    expect(*state, "rules: {enabled: maybe, required_score: high}\n",
           "1:18: 'rules.enabled': expected true or false, not 'maybe'\n"
           "1:41: 'rules.required_score': expected a number, not 'high'\n");
    expect(*state, "virus: {on_error: defr}\n",
           "1:19: 'virus.on_error': expected one of defer, hold, pass, not 'defr' (did you mean "
           "'defer'?)\n");
    expect(*state, "tls: {min_version: 1.1}\n",
           "1:20: 'tls.min_version': expected one of 1.2, 1.3, not '1.1' (did you mean '1.2'?)\n");
    expect(*state, "relay: {networks: [10.0.0.0/8, 10.0.0.0/40]}\n",
           "1:32: 'relay.networks': expected a network such as 192.0.2.0/24, not "
           "'10.0.0.0/40'\n");
    expect(*state, "queue: {retry: [1m, soon]}\n",
           "1:21: 'queue.retry': expected a duration such as 5m or 1h30m, not 'soon'\n");
    expect(*state, "paths: {state: ''}\n", "1:16: 'paths.state': expected a path, not ''\n");
    expect(*state, "banner: \"a\\nb\"\n", "1:9: 'banner': expected a text of one line\n");
    expect(*state, "relay: {domains: ['']}\n",
           "1:19: 'relay.domains': expected a text that is not empty\n");
}

static void duplicates_are_told(void **state)
{
    expect(*state, "hostname: a\nbanner: x\nhostname: b\n",
           "3:1: 'hostname' is set twice (first in line 1)\n");
    expect(*state, "limits: {errors: 5}\nlimits: {errors: 6}\n",
           "2:1: 'limits' is set twice (first in line 1)\n");
    expect(*state, "listeners:\n  - address: 127.0.0.1:25\n    address: 127.0.0.1:26\n",
           "3:5: 'address' is set twice (first in line 2)\n");
}

static void broken_yaml_is_told_with_its_place(void **state)
{
    static const char latin1[] = "hostname: a\nbanner: caf\xe9\n";
    expect(*state, "hostname: [a\n",
           "2:1: not YAML: did not find expected ',' or ']', while parsing a flow sequence\n");
    expect(*state, "hostname: a\n\tbanner: b\n",
           "2:1: not YAML: found a tab character that violates indentation, while scanning "
           "a plain scalar\n");
    expect_bytes(*state, latin1, sizeof latin1 - 1,
                 "2:12: not YAML: incomplete UTF-8 octet sequence\n");
    expect_bytes(*state, "a: \0", 4, "1:4: not YAML: control characters are not allowed\n");
    expect(*state, "hostname: a\n---\nhostname: b\n",
           "3:1: a second document; all settings stand in one\n");
    expect(*state, "a: *none\n", "1:4: not YAML: found undefined alias\n");
}

static void a_file_of_nothing_means_the_defaults(void **state)
{
    expect(*state, "", "");
    expect(*state, "# nothing\n", "");
    expect(*state, "limits:\nrelay:\n  domains:\nlisteners:\npolicies:\n", "");
}

static void a_missing_file_is_told(void **state)
{
    (void)state;
    struct err e = {0};
    assert_null(settings_load("/nowhere/g.yaml", &e));
    assert_string_equal(e.text, "/nowhere/g.yaml: it can't be read: No such file or directory");
    assert_null(settings_load("/tmp", &e));
    assert_string_equal(e.text, "/tmp: it can't be read: Is a directory");
}

static void aliases_that_loop_do_no_harm(void **state)
{
    expect(*state, "relay:\n  domains: &a [*a]\n",
           "2:12: 'relay.domains': expected a single value in the list, not a list\n");
    expect(*state, "limits: &a {limits: *a}\n",
           "1:13: unknown setting 'limits' in 'limits' (it belongs under 'rates')\n");
}

static void the_printed_defaults_read_back_as_the_defaults(void **state)
{
    struct box *b = *state;
    char *text, *again;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    settings_print_defaults(f);
    fclose(f);
    struct settings *s = load(b, text);
    struct err e;
    struct settings *d = settings_load(NULL, &e);
    assert_non_null(d);
    assert_memory_equal(&s->limits, &d->limits, sizeof s->limits);
    assert_string_equal(s->banner, d->banner);
    assert_string_equal(s->hostname, d->hostname);
    assert_string_equal(s->paths.run, d->paths.run);
    assert_int_equal(s->queue.retry.n, d->queue.retry.n);
    assert_int_equal(s->queue.lifetime, d->queue.lifetime);
    assert_int_equal(s->listeners.n, 1);
    assert_string_equal(s->listeners.v[0].address, d->listeners.v[0].address);
    assert_string_equal(s->listeners.v[0].name, "mx");
    assert_int_equal(s->policies.n, 1);
    assert_true(s->policies.v[0].required_score == 5);
    assert_true(s->policies.v[0].reject_score == 15);
    assert_int_equal(s->policies.v[0].on_high_spam, OUT_REJECT);
    assert_null(s->policies.v[0].subject_tag);
    settings_free(s);
    settings_free(d);
    f = open_memstream(&again, &n);
    settings_print_mdoc(f);
    fclose(f);
    assert_non_null(strstr(again, ".It Ic limits.message_size\n"));
    free(text);
    free(again);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, box_open, box_close)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_of_every_type_are_read),
        TEST(routes_and_sockets_follow_the_directory_of_the_file),
        TEST(listeners_take_what_follows_from_their_profile),
        TEST(policies_inherit_from_the_default),
        TEST(a_policy_list_without_default_gets_one),
        TEST(unknown_names_are_told_with_the_nearest),
        TEST(policies_are_read),
        TEST(broken_policies_are_told),
        TEST(wrong_types_are_told),
        TEST(bad_values_are_told),
        TEST(duplicates_are_told),
        TEST(broken_yaml_is_told_with_its_place),
        TEST(a_file_of_nothing_means_the_defaults),
        TEST(a_missing_file_is_told),
        TEST(aliases_that_loop_do_no_harm),
        TEST(the_printed_defaults_read_back_as_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "config/settings.h"

static char file[64];

static int open_file(void **state)
{
    (void)state;
    snprintf(file, sizeof file, "/tmp/gatehouse-check-XXXXXX");
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int drop_file(void **state)
{
    (void)state;
    return unlink(file);
}

static void collect(const struct settings_problems *p, char *got, size_t room)
{
    size_t used = 0;
    got[0] = '\0';
    for (size_t i = 0; i < p->n; i++) {
        assert_memory_equal(p->v[i].text, file, strlen(file));
        used += (size_t)snprintf(got + used, room - used, "%s\n", p->v[i].text + strlen(file) + 1);
    }
}

static void expect(const char *text, const char *wanted)
{
    struct settings_problems p = {0};
    char got[8192];
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    struct settings *s = settings_load_all(file, &p);
    collect(&p, got, sizeof got);
    assert_true((s == NULL) == (p.n > 0));
    settings_free(s);
    settings_problems_free(&p);
    if (strcmp(got, wanted) != 0)
        fail_msg("wanted:\n%sgot:\n%s", wanted, got);
}

static void return_paths_need_secrets(void **state)
{
    (void)state;
    expect("srs:\n  domain: fwd.example\n", "2:3: srs.domain needs srs.key_file\n");
    expect("srs: {domain: 'a b', key_file: /etc/x}\n",
           "1:7: 'srs.domain': expected a domain, not 'a b'\n");
    expect("batv:\n  domains: [.our.example, '@x']\n",
           "2:3: batv.domains needs batv.key_file\n"
           "2:27: 'batv.domains': expected a domain, not '@x'\n");
}

static void listeners_must_fit(void **state)
{
    (void)state;
    expect("listeners:\n  - {address: 127.0.0.1:25, tls: starttls}\n",
           "2:29: listener 'mx': TLS needs a certificate; set tls.certificate and tls.key\n");
    expect("listeners:\n  - {address: 127.0.0.1:25, require_tls: yes}\n",
           "2:29: listener 'mx': require_tls without TLS; set tls: starttls\n");
    expect("listeners:\n  - {address: 127.0.0.1:587, profile: submission}\n",
           "2:30: listener 'submission' wants a password, but nothing can check one; set "
           "auth.users_file or auth.dovecot_socket\n");
    expect(
        "auth: {users_file: /u}\nlisteners:\n  - {address: 127.0.0.1:587, profile: submission}\n",
        "3:5: listener 'submission' wants a password, but takes none without TLS; set "
        "tls.certificate, or auth.plaintext for tests\n");
    expect("auth: {users_file: /u, plaintext: yes}\n"
           "listeners:\n  - {address: 127.0.0.1:587, profile: submission}\n",
           "");
    expect("listeners:\n  - {name: a}\n",
           "2:5: a listener needs an address, such as '192.0.2.1:25'\n");
    expect("listeners:\n  - {address: 127.0.0.1}\n  - {address: 'localhost:25'}\n"
           "  - {address: '[::1:25'}\n  - {address: '127.0.0.1:70000'}\n",
           "2:6: 'address': expected an address and a port such as 192.0.2.1:25 or [::]:25, not "
           "'127.0.0.1'\n"
           "3:6: 'address': expected an address and a port such as 192.0.2.1:25 or [::]:25, not "
           "'localhost:25'\n"
           "4:6: 'address': expected an address and a port such as 192.0.2.1:25 or [::]:25, not "
           "'[::1:25'\n"
           "5:6: 'address': expected an address and a port such as 192.0.2.1:25 or [::]:25, not "
           "'127.0.0.1:70000'\n");
    expect("listeners:\n  - {address: 127.0.0.1:25, name: a}\n"
           "  - {address: 127.0.0.1:25, name: a}\n  - {address: 127.0.0.1:26, name: a b}\n",
           "3:6: a second listener on 127.0.0.1:25\n"
           "3:29: a second listener named 'a'\n"
           "4:29: 'name': expected letters, digits, '-', '_' and '.', not 'a b'\n");
    expect("listeners:\n  - {address: 127.0.0.1:25, key: /k}\n",
           "2:29: listener 'mx': a key without a certificate\n");
}

static void policies_must_fit(void **state)
{
    (void)state;
    expect("policies:\n  - {senders: ['@a']}\n",
           "2:5: a policy needs a name of letters, digits, '-', '_' and '.'\n");
    expect("policies:\n  - {name: a, senders: ['@a']}\n  - {name: a, senders: ['@b']}\n",
           "3:6: a second policy named 'a'\n");
    expect("policies:\n  - {name: a}\n  - {name: b, senders: ['@b']}\n",
           "2:5: a policy without condition would hide those after it; give it recipients, "
           "senders, clients or another condition, 'continue: true', or name it 'default'\n");
    expect("policies:\n  - {name: default}\n  - {name: b, senders: ['@b']}\n",
           "2:6: the policy 'default' must be the last one\n");
    expect("policies:\n  - {name: default, senders: ['@b']}\n",
           "2:6: the policy 'default' matches everything; it takes no condition\n");
    expect("policies:\n  - {name: a, recipients: ['@ok', example.org]}\n",
           "2:35: 'recipients': expected an address, @domain, .domain or a glob, not 'example.org' "
           "(for all of a domain: '@example.org')\n");
    expect("policies:\n  - {name: a, listeners: [mxx]}\n",
           "2:27: no listener is named 'mxx' (did you mean 'mx'?)\n");
    expect(
        "policies:\n  - {name: a, senders: ['@a'], on_spam: clean}\n",
        "2:32: 'on_spam': 'clean' takes viruses out, not spam; use tag, hold, reject or discard\n");
    expect("policies:\n  - {name: a, continue: yes}\n",
           "2:5: a policy with 'continue: true' and without 'do' does nothing\n");
    expect("policies:\n  - {name: a, continue: yes, do: hold}\n",
           "2:30: 'hold' decides: it can't stand in a policy with 'continue: true'\n");
    expect("policies:\n  - {name: a, continue: yes, do: keep, on_spam: hold}\n",
           "2:40: 'on_spam' has no effect in a policy with 'continue: true'\n");
    expect("policies:\n  - {name: default, continue: yes, do: keep}\n",
           "2:21: the policy 'default' is the last one; there is nothing to continue with\n");
    expect("policies:\n  - {name: a, helo: x, do: [hold, reject]}\n",
           "2:24: 'hold' and 'reject' in one policy: only one can happen\n");
    expect("policies:\n  - {name: a, helo: x, do: drop_part}\n",
           "2:24: 'drop_part' acts on the parts that 'parts' tells; give the policy that\n");
    expect("policies:\n  - {name: a, senders: ['@a'], reject_score: 3}\n",
           "2:32: reject_score (3) is below required_score (5)\n");
}

static void values_must_fit_together(void **state)
{
    (void)state;
    expect("rules: {required_score: 20}\n",
           "1:9: rules.reject_score (15) is below rules.required_score (20)\n");
    expect("rules: {trusted_networks: ['10.', '!192.0.2.7', '[2001:db8::]/32', 10/8, x]}\n",
           "1:74: 'rules.trusted_networks': expected a network such as 192.0.2.0/24, 10. or "
           "!192.0.2.7, not 'x'\n");
    expect("virus: {clamd: ['unix:', nowhere]}\n",
           "1:17: 'virus.clamd': expected unix:PATH or HOST:PORT, not 'unix:'\n"
           "1:26: 'virus.clamd': expected unix:PATH or HOST:PORT, not 'nowhere'\n");
    expect("limits: {scan_time: 10s}\n",
           "1:10: virus.scan_timeout must be below limits.scan_time, or scanners are ended in the "
           "wait\n");
    expect("limits: {scan_time: 10s}\nvirus: {enabled: no}\n", "");
    expect("routes: {fallback: 'smtp:a b'}\n",
           "1:10: 'routes.fallback': expected smtp:HOST, smtp:[HOST] or smtp:[HOST]:PORT, not "
           "'smtp:a b'\n");
    expect("routes: {fallback: 'file:/x'}\n",
           "1:10: 'routes.fallback': expected mx, smtp:[HOST]:PORT, lmtp:/PATH, lmtp:HOST:PORT or "
           "maildir:PATH, not 'file:/x'\n");
    expect("relay: {domains: [a.example, 'b@example']}\n",
           "1:30: 'relay.domains': expected a domain, not 'b@example'\n");
    expect("recipients: {check: list}\n", "1:14: recipients.check: list needs recipients.file\n");
    expect("queue: {retry: []}\n", "1:9: 'queue.retry': expected at least one wait\n");
    expect("queue: {lifetime: 1h}\n",
           "1:9: queue.delay_warning must be below queue.lifetime (0 for none)\n");
    expect("queue: {bounce_from: me}\n",
           "1:9: 'queue.bounce_from': expected an address, not 'me'\n");
    static const struct {
        const char *url, *why;
    } links[] = {
        {"mail.example.org/_ID_", "expected an address such as https://mail.example.org/held/_ID_"},
        {"ftp://mail.example.org/_ID_",
         "expected an address such as https://mail.example.org/held/_ID_"},
        {"https:///_ID_", "expected an address such as https://mail.example.org/held/_ID_"},
        {"https://mail.example.org/", "without _ID_ it would lead to nothing"},
        {"https://m.example/_ID_/_URL_", "_URL_ is this address itself"},
        {"https://m.example/ _ID_", "expected an address without spaces, quotes and brackets"},
        {"https://m.example/<_ID_>", "expected an address without spaces, quotes and brackets"},
        {"https://m.example/\xc3\xa4/_ID_",
         "expected an address without spaces, quotes and brackets"},
    };
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        char yaml[200], want[300];
        snprintf(yaml, sizeof yaml, "quarantine: {link_url: '%s'}\n", links[i].url);
        snprintf(want, sizeof want, "1:14: 'quarantine.link_url': %s, not '%s'\n", links[i].why,
                 links[i].url);
        expect(yaml, want);
    }
    expect("quarantine: {link_url: 'HTTPS://m.example:8443/held/_ID_?p=_PART_#x'}\n", "");
    expect("log: {target: sylog}\n",
           "1:7: 'log.target': expected stderr, syslog, journald or a path with a '/', not 'sylog' "
           "(did you mean 'syslog'?)\n");
    expect("hostname: a b\n",
           "1:1: 'hostname': expected a host name such as mail.example.org, not 'a b'\n");
    expect("banner: \"caf\\u00e9\"\n",
           "1:1: 'banner': expected at most 200 printable ASCII characters\n");
    expect("tls: {key: /k}\n", "1:7: tls.key without tls.certificate\n");
}

static void routes_of_every_form_are_taken(void **state)
{
    (void)state;
    static const char *const routes[] = {
        "mx",
        "smtp:mail.example.org",
        "smtp:[192.0.2.1]:2525",
        "smtp:[2001:db8::1]:25",
        "smtp:[mail.example.org]",
        "smtp:192.0.2.1:25",
        "lmtp:/run/x",
        "lmtp:localhost:24",
        "maildir:/m",
    };
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        char text[100];
        snprintf(text, sizeof text, "routes: {fallback: '%s'}\n", routes[i]);
        expect(text, "");
    }
}

static void many_problems_are_cut_off(void **state)
{
    (void)state;
    struct settings_problems p = {0};
    FILE *f = fopen(file, "w");
    for (int i = 0; i < 1000; i++)
        fprintf(f, "zz%d: 1\n", i);
    fclose(f);
    assert_null(settings_load_all(file, &p));
    assert_int_equal(p.n, 201);
    assert_non_null(strstr(p.v[200].text, "too many problems"));
    settings_problems_free(&p);
}

static void named_files_must_be_there(void **state)
{
    (void)state;
    struct settings_problems p = {0};
    char got[8192], wanted[8192];
    FILE *f = fopen(file, "w");
    fprintf(f,
            "tls: {certificate: /nowhere/c.pem, key: /tmp}\naccess_file: %s\n"
            "routes:\n  file: /nowhere/routes\n"
            "rules: {dirs: [/tmp, %s], site_dir: /nowhere/site}\n"
            "processes: {user: null}\n",
            file, file);
    fclose(f);
    struct settings *s = settings_load_all(file, &p);
    assert_non_null(s);
    assert_int_equal(settings_check_files(s, &p), 5);
    collect(&p, got, sizeof got);
    snprintf(wanted, sizeof wanted,
             "1:7: 'tls.certificate': /nowhere/c.pem: No such file or directory; PEM, the server's "
             "certificate first\n"
             "1:36: 'tls.key': /tmp: Is a directory; PEM, readable by root alone\n"
             "4:3: 'routes.file': /nowhere/routes: No such file or directory; one 'domain route' a "
             "line; an empty file will do\n"
             "5:22: 'rules.dirs[1]': %s: Not a directory; a directory of .cf files\n"
             "5:%zu: 'rules.site_dir': /nowhere/site: No such file or directory; a directory of "
             ".cf files, or null\n",
             file, 25 + strlen(file));
    assert_string_equal(got, wanted);
    settings_free(s);
    settings_problems_free(&p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_file, drop_file)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(listeners_must_fit),
        TEST(return_paths_need_secrets),
        TEST(policies_must_fit),
        TEST(values_must_fit_together),
        TEST(routes_of_every_form_are_taken),
        TEST(many_problems_are_cut_off),
        TEST(named_files_must_be_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

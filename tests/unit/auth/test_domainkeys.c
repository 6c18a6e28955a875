/* DomainKeys (RFC 4870): signatures that Mail::DKIM 1.20230212 made over a message of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mailcheck.h"

#define KEY                                                                                        \
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDQ975UxrdWb4a2/rofvvHuOxp3Gj7Ud3SOSw586aGU"             \
    "nepiTod4x2hJ+EYv4QD40eQ+1mL0jNmAWOZYENDsZtpJDrYJ7JGzKDJkLh5wMpxIllDpoKgiscYD+uAf"             \
    "VG2fQS5+M+1QipoKGqivp5qumra9CI123zZqSthRGlGA9A2tnwIDAQAB"
/* All fields below it, c=simple. */
#define SIMPLE                                                                                     \
    "DomainKey-Signature: a=rsa-sha1; c=simple; d=example.net; q=dns; s=one; b=tdL9UK"             \
    "m+87GHK9penU/BjkftIhlRyu1S8+UHL+zT3ejsiUZUb3C9tycYmLh8VEC+1djB4QcTEvQE7iWN71LpHn"             \
    "1FsccOCPOeVNrzQoK8E4yNXpAP9lDCdLmdYFZxBrvxaOiPy3kQMLo9IYZ5s6zM+4SayuPJhD4SW3Y9IP"             \
    "xJzNA="
/* h=Received:from:subject, c=nofws: one name stands for both Received fields. */
#define NOFWS                                                                                      \
    "DomainKey-Signature: a=rsa-sha1; c=nofws; d=example.net; h=Received:from:subject"             \
    "; q=dns; s=one; b=oX8sAa4Mg5dJdvF9UqHBRmnYZQSot45N/nM6ublkzmm4QWlZfxrJdi7wZhLfeL"             \
    "ytrsCqxZF9IZ7dbyA0RxO80CP/g6xph+3/CqNxm81/ioFOPNX5MCkjI9pO5+NUYBmYOwgmRTDQJsGzsy"             \
    "LVsN816HmtHnFF+gJsvgQtjdAKko0="
#define MAIL                                                                                       \
    "\r\nFrom: Alice <alice@example.net>\r\nTo: bob@example.org\r\nReceived: a\r\n\tb\r\n"         \
    "Received: c\r\nSubject: hello  there\r\n\r\nfirst  line \r\n \r\n\r\nlast\tone\r\n\r\n\r\n"

static void expect(const char *mail, const char *record, enum dkim_result result, const char *why)
{
    struct mailcheck c;
    mailcheck_open(&c);
    zone_txt(&c.zone, "one._domainkey.example.net", record);
    const struct auth_facts *f = mailcheck(&c, span_str(mail), 1700000000);
    assert_int_equal(f->ndkim, 1);
    if (f->dkim[0].result != result || !span_eq(f->dkim[0].why, span_str(why)))
        fail_msg("%s: %.*s", dkim_result_name(f->dkim[0].result), SPAN_ARG(f->dkim[0].why));
    assert_true(f->dkim[0].domainkeys);
    assert_true(f->dkim[0].verified == (result == DKIM_PASS));
    assert_true(span_eq(f->dkim[0].identity, SPAN("alice@example.net")));
    mailcheck_close(&c);
}

static void test_good(void **state)
{
    (void)state;
    expect(SIMPLE MAIL, "k=rsa; g=; p=" KEY, DKIM_PASS, "");
    expect(NOFWS MAIL, "g=al*e; p=" KEY, DKIM_PASS, "");
    expect(NOFWS MAIL " \t\r\n\r\n", "p=" KEY, DKIM_PASS, "");
    expect("X-Above: is not signed\r\n" SIMPLE MAIL, "p=" KEY, DKIM_PASS, "");
}

static void test_bad(void **state)
{
    (void)state;
    const char *changed = "header or body were changed";
    expect(SIMPLE MAIL "more\r\n", "p=" KEY, DKIM_FAIL, changed);
    expect(SIMPLE "\r\nX-New: field" MAIL, "p=" KEY, DKIM_FAIL, changed);
    expect(NOFWS "\r\nReceived: d" MAIL, "p=" KEY, DKIM_FAIL, changed);
    expect(NOFWS MAIL, "g=bob; p=" KEY, DKIM_PERMERROR, "the key is not for this sender");
    expect("DomainKey-Signature: a=rsa-sha1; c=nofws; d=example.com; s=one; b=AAAA" MAIL, "p=" KEY,
           DKIM_PERMERROR, "there is no key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

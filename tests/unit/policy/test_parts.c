#include "policy_test.h"

/* The names of the second part of a multipart whose header is given. */
static void expect_names(const char *header, const char *want)
{
    char raw[4096], got[2048] = "";
    snprintf(
        raw, sizeof raw,
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n%s\r\n\r\n"
        "x\r\n--b--\r\n",
        header);
    struct arena *a = arena_new(0);
    struct parts *ps = parts_new(mime_parse(a, span_str(raw), NULL), NULL, a);
    assert_int_equal(ps->n, 3);
    for (size_t i = 0; i < ps->v[2].nnames; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%.*s", i ? "|" : "",
                 SPAN_ARG(ps->v[2].names[i]));
    assert_string_equal(got, want);
    arena_free(a);
}

static void every_reading_of_a_name(void **state)
{
    (void)state;
    expect_names("Content-Type: application/x; name=a.exe", "a.exe");
    expect_names("Content-Type: application/x; name=\"a.txt\"\r\n"
                 "Content-Disposition: attachment; filename=\"b.exe\"",
                 "b.exe|a.txt");
    expect_names("Content-Disposition: attachment; filename*=UTF-8''%65vil.exe", "evil.exe");
    expect_names("Content-Disposition: attachment; filename*=iso-8859-1'de'f%FCr.exe",
                 "f\xc3\xbcr.exe");
    expect_names("Content-Disposition: attachment; filename*0=ev; filename*1=il.e;\r\n"
                 " filename*2=xe",
                 "evil.exe");
    expect_names("Content-Disposition: attachment; filename*0*=UTF-8''ev%69; filename*1*=l.%65xe",
                 "evil.exe");
    expect_names("Content-Type: a/b; name=\"=?utf-8?q?evil=2Eexe?=\"",
                 "evil.exe|=?utf-8?q?evil=2Eexe?=");
    expect_names("Content-Disposition: attachment; filename=\"a.txt\"; filename=\"b.exe\"",
                 "a.txt|b.exe");
    expect_names("Content-Type: a/b; name=one.exe\r\nContent-Type: a/b; name=two.exe",
                 "one.exe|two.exe");
    expect_names("Content-Disposition: attachment; filename=\"c:\\\\dir\\\\evil.exe. . \"",
                 "evil.exe");
    expect_names("Content-Disposition: attachment; filename=\"photo\xe2\x80\xaegpj.exe\"",
                 "photogpj.exe");
    expect_names("Content-Disposition: attachment", "");
}

static void files_in_the_text(void **state)
{
    (void)state;
    struct scene s = scene_of("policies:\n  - {name: x, parts: {name: '*.exe'}, do: hold}\n",
                              "Subject: x\n\nsee\nbegin 644 evil.exe\n#0V%T\n`\nend\n");
    assert_int_equal(match_of(&s, STAGE_END, "bob@example.org"), MATCH_YES);
    scene_end(&s);
}

static enum match part_matches(const char *test, const char *part)
{
    char yaml[512], raw[8192];
    snprintf(yaml, sizeof yaml, "policies:\n  - {name: x, parts: {%s}, do: hold}\n", test);
    snprintf(raw, sizeof raw,
             "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n%s\r\n"
             "--b--\r\n",
             part);
    struct scene s = scene_of(yaml, raw);
    enum match m = match_of(&s, STAGE_END, "bob@example.org");
    scene_end(&s);
    return m;
}

#define PDF "Content-Type: application/octet-stream; name=a.bin\r\n\r\n%PDF-1.4\n"
/* MZ, and a PE header where libmagic looks for it */
#define PROGRAM                                                                                    \
    "Content-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n\r\n"             \
    "TVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"             \
    "AAAAgAAAAA4fug4AtAnNIbgBTM0hVGhpcyBwcm9ncmFtIGNhbm5vdCBiZSBydW4gaW4gRE9TIG1v\r\n"             \
    "ZGUuDQ0KJAAAAAAAAABQRQAATAEDAAAAAAAAAAAAAAAAAOAAAgELAQIBCwEAAAAAAAAAAAAAAAAA\r\n"             \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"             \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"
/* zip -P x: one member, stored, the first general purpose bit set */
#define ZIP(flag)                                                                                  \
    "Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"       \
    "UEsDBAoA" flag "AAAAAAAAAAAAAAAAAAAAAAAAAAABAAAAYQ==\r\n"

/* zip: d/A.exe */
#define PACKED                                                                                     \
    "Content-Type: application/x; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"         \
    "UEsDBBQAAAAAAAAAIQCDFtyMAQAAAAEAAAAHAAAAZC9BLmV4ZXhQSwECFAMUAAAAAAAAACEAgxbc\r\n"             \
    "jAEAAAABAAAABwAAAAAAAAAAAAAAgAEAAAAAZC9BLmV4ZVBLBQYAAAAAAQABADUAAAAmAAAAAAA=\r\n"

static void tests_of_a_part(void **state)
{
    (void)state;
    static const struct {
        const char *test, *part;
        enum match match;
    } rows[] = {
        {"name: '*.BIN'", PDF, MATCH_YES},
        {"name: ['*', '!a.*']", PDF, MATCH_NO},
        {"name: '/^a\\.b/'", PDF, MATCH_YES},
        {"type: 'application/*'", PDF, MATCH_YES},
        {"type: image/png", PDF, MATCH_NO},
        {"content: application/pdf", PDF, MATCH_YES},
        {"content: '*portable-executable'", PROGRAM, MATCH_YES},
        {"type: image/png, content: '!image/*'", PROGRAM, MATCH_YES},
        {"name: '*.bin', type: text/plain", PDF, MATCH_NO},
        {"size: '5..20'", PDF, MATCH_YES},
        {"size: '> 1MiB'", PDF, MATCH_NO},
        {"encrypted: true", PDF, MATCH_NO},
        {"encrypted: true", PDF "trailer\n<</Encrypt 5 0 R>>\n", MATCH_YES},
        {"encrypted: true", ZIP("AQ"), MATCH_YES},
        {"encrypted: true", ZIP("AA"), MATCH_NO},
        {"encrypted: false, name: '*.zip'", ZIP("AA"), MATCH_YES},
        {"members: a.EXE", PACKED, MATCH_YES},
        {"members: ['*', '!*.exe']", PACKED, MATCH_NO},
        {"members: 'd*'", PACKED, MATCH_NO},
        {"members: '*'", PDF, MATCH_NO},
        {"encrypted: true", "\r\n-----BEGIN PGP MESSAGE-----\r\n", MATCH_YES},
        {"type: 'multipart/*'", PDF, MATCH_NO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (part_matches(rows[i].test, rows[i].part) != rows[i].match)
            fail_msg("%s: %s", rows[i].test, rows[i].part);
}

static void signatures_and_encryption_around(void **state)
{
    (void)state;
    static const char raw[] =
        "Content-Type: multipart/mixed; boundary=o\n\n"
        "--o\nContent-Type: multipart/signed; boundary=s\n\n"
        "--s\n\ntext\n--s\nContent-Type: application/pgp-signature\n\nsig\n--s--\n"
        "--o\nContent-Type: multipart/encrypted; boundary=e\n\n"
        "--e\nContent-Type: application/octet-stream\n\nx\n--e--\n"
        "--o\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nx\n"
        "--o\n\nfree\n--o--\n";
    struct arena *a = arena_new(0);
    struct parts *ps = parts_new(mime_parse(a, span_str(raw), NULL), NULL, a);
    static const bool sealed[] = {false, false, true, true, false, true, true, false};
    static const bool encrypted[] = {false, false, false, false, false, true, true, false};
    assert_int_equal(ps->n, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(ps->v[i].sealed, sealed[i]);
        assert_int_equal(part_encrypted(ps, &ps->v[i]), encrypted[i]);
    }
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reading_of_a_name),
        cmocka_unit_test(files_in_the_text),
        cmocka_unit_test(tests_of_a_part),
        cmocka_unit_test(signatures_and_encryption_around),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

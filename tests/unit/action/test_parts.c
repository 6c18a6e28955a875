#include "../policy/policy_test.h"

#include "action/action.h"

#define ID "3K7F0Q2M8TZC0000"

/* The edited message under the policies, and whether the original is to be kept. */
static bool edited(const char *policies, const char *raw, char *out, size_t size)
{
    char yaml[4096];
    struct verdict v;
    struct splices edits = {0};
    struct buf b = {0};
    struct err e;
    snprintf(yaml, sizeof yaml,
             "virus: {enabled: no}\nrules: {enabled: no}\npolicies:\n  - name: p\n%s\n", policies);
    struct scene s = scene_of(yaml, raw);
    memcpy(s.m->id, ID, sizeof ID);
    s.m->has_envelope = false;
    verdict_decide(s.ps, &s.set->virus, s.m, s.parts, NULL, s.m->arena, &v);
    bool keep = action_edits(s.set, NULL, s.m, &v.v[0], s.m->arena, &edits);
    if (splices_sort(&edits, s.m->raw.n, &e) != 0)
        fail_msg("%s", e.text);
    splices_apply(&edits, s.m->raw, &b);
    /* what comes out is a message in which the same parts do not match again */
    snprintf(out, size, "%.*s", SPAN_ARG(buf_span(&b)));
    buf_free(&b);
    scene_end(&s);
    return keep;
}

static void expect(const char *policies, const char *raw, const char *want, bool keep)
{
    char got[8192];
    assert_int_equal(edited(policies, raw, got, sizeof got), keep);
    assert_string_equal(got, want);
}

#define HEAD      "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
#define TEXT      "--b\r\nContent-Type: text/plain\r\n\r\nhello \r\n"
#define EXE(name) "--b\r\nContent-Type: application/x; name=\"" name "\"\r\n\r\nMZ..\r\n"
#define END       "--b--\r\nepilogue\r\n"
#define PARTS     "    parts: {name: '*.exe'}\n"
#define GONE      "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n"

static void parts_are_dropped(void **state)
{
    (void)state;
    expect(PARTS "    do: drop_part", HEAD TEXT EXE("a.exe") END, HEAD TEXT END, true);
    expect(PARTS "    do: drop_part", HEAD EXE("a.exe") TEXT END, HEAD TEXT END, true);
    expect(PARTS "    do: drop_part", HEAD EXE("a.exe") EXE("b.exe") TEXT EXE("c.exe") END,
           HEAD TEXT END, true);
    expect(PARTS "    do: drop_part", HEAD TEXT END, HEAD TEXT END, false);
    /* The last one leaves a note. */
    expect(PARTS "    do: drop_part", HEAD EXE("a.exe") END,
           HEAD "--b\r\n" GONE "Content-Disposition: inline\r\n\r\n"
                "An attachment was removed (p). Message id: " ID "\r\n\r\n" END,
           true);
    /* Without a final delimiter there is nothing to join with. */
    expect(PARTS "    do: drop_part", HEAD TEXT "--b\r\nContent-Type: a/b; name=x.exe\r\n\r\nMZ",
           HEAD TEXT "--b\r\n" GONE "Content-Disposition: inline\r\n\r\n"
                     "An attachment was removed.\r\n",
           true);
}

static void parts_are_replaced(void **state)
{
    (void)state;
    expect(PARTS "    do: {replace_part: '_NAME_ (_TYPE_) was removed by _POLICY_: _ID_'}",
           HEAD TEXT EXE("a.exe") END,
           HEAD TEXT "--b\r\n" GONE "Content-Disposition: inline\r\n\r\n"
                     "a.exe (application/x) was removed by p: " ID "\r\n\r\n" END,
           true);
    /* A message that is one part keeps its header but for what tells the body. */
    expect(PARTS "    do: {replace_part: gone}",
           "From: a@b\nContent-Type: application/x;\n name=a.exe\nMIME-Version: 1.0\n"
           "Content-Transfer-Encoding: base64\nX-Last: 1\n\nTVo=\n",
           "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n"
           "From: a@b\nMIME-Version: 1.0\nX-Last: 1\n\ngone\n",
           true);
    expect(PARTS "    do: {replace_part: 'für'}", HEAD EXE("a.exe") TEXT END,
           HEAD "--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
                "Content-Transfer-Encoding: quoted-printable\r\nContent-Disposition: inline\r\n\r\n"
                "f=C3=BCr\r\n\r\n" TEXT END,
           true);
}

/* What one reader takes for the body is header to another: no edit stands on another. */
static void a_body_that_may_be_header(void **state)
{
    (void)state;
    expect("    parts: {size: '> 3'}\n    do: [{replace_part: gone}, {delete_header: X-Late}]",
           "Subject: x\njunk here\nContent-Type: text/html\nX-Late: 1\n\nhello\n",
           "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n"
           "MIME-Version: 1.0\nSubject: x\njunk here\n\ngone\n",
           true);
}

static void a_part_without_a_place(void **state)
{
    (void)state;
    /* An encoded message around it: the whole of it goes. */
    expect(PARTS "    do: {replace_part: gone}",
           HEAD TEXT
           "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
           "Q29udGVudC1UeXBlOiBhL2I7IG5hbWU9ZXZpbC5leGUKCk1aCg==\r\n" END,
           HEAD TEXT "--b\r\n" GONE "Content-Disposition: inline\r\n\r\ngone\r\n\r\n" END, true);
    /* A plain one: its body alone. */
    expect(PARTS "    do: {replace_part: gone}",
           HEAD "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n"
                "Content-Type: a/b; name=x.exe\r\n\r\nMZ\r\n" END,
           HEAD "--b\r\nContent-Type: message/rfc822\r\n\r\n"
                "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n"
                "MIME-Version: 1.0\r\nSubject: in\r\n\r\ngone\r\n\r\n" END,
           true);
}

#define SIGNED "Content-Type: multipart/signed; boundary=b\r\n\r\n" TEXT EXE("a.exe") END

static void signed_parts_stay(void **state)
{
    (void)state;
    expect(PARTS "    do: drop_part", SIGNED, SIGNED, false);
    expect(PARTS "    touch_signed: true\n    do: drop_part", SIGNED,
           "Content-Type: multipart/signed; boundary=b\r\n\r\n" TEXT END, true);
    expect("    header: {Content-Type: true}\n    do: {add_disclaimer: x}", SIGNED, SIGNED, false);
}

static void parts_are_renamed(void **state)
{
    (void)state;
    expect(PARTS "    do: rename_part",
           HEAD "--b\r\nContent-Type: application/x; x=\"y;z\"; name=\"a.exe\"\r\n"
                "Content-Disposition: attachment; filename*0=a; filename*1=.exe; size=4\r\n\r\n"
                "MZ..\r\n" END,
           HEAD "--b\r\nContent-Type: application/x; x=\"y;z\"; name=\"a.exe.txt\"\r\n"
                "Content-Disposition: attachment; size=4; filename=\"a.exe.txt\"\r\n\r\n"
                "MZ..\r\n" END,
           false);
    expect(PARTS "    do: {rename_part: \"für \\\"_NAME_\\\"\"}",
           "Content-Type: a/b; name=a.exe\n\nx\n",
           "Content-Disposition: attachment; filename*=utf-8''f%C3%BCr%20%22a.exe%22\n"
           "Content-Type: a/b; name*=utf-8''f%C3%BCr%20%22a.exe%22\n\nx\n",
           false);
}

#define SAY  "    header: {Subject: true}\n    do: {add_disclaimer: {text: \"Confidential.\"}}"
#define SAID "<p>Confidential.</p>\r\n"

static void disclaimers(void **state)
{
    (void)state;
    expect(SAY, "Subject: x\r\n\r\nhello\r\n", "Subject: x\r\n\r\nhello\r\nConfidential.\r\n",
           false);
    expect(SAY, "Subject: x\n\nhello", "Subject: x\n\nhello\nConfidential.\n", false);
    expect(SAY, HEAD TEXT EXE("a.exe") END,
           HEAD
           "--b\r\nContent-Type: text/plain\r\n\r\nhello \r\nConfidential.\r\n\r\n" EXE("a.exe")
               END,
           false);
    /* All alternatives, each in its form; HTML before its end. */
    expect(SAY,
           "Subject: x\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n" TEXT
           "--b\r\nContent-Type: text/html\r\n\r\n<html><body>hi</BODY></html>\r\n" END,
           "Subject: x\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
           "--b\r\nContent-Type: text/plain\r\n\r\nhello \r\nConfidential.\r\n\r\n"
           "--b\r\nContent-Type: text/html\r\n\r\n<html><body>hi" SAID "</BODY></html>\r\n" END,
           false);
    /* base64 is encoded again, quoted-printable goes on. */
    expect(SAY, "Subject: x\nContent-Transfer-Encoding: base64\n\naGVsbG8K\n",
           "Subject: x\nContent-Transfer-Encoding: base64\n\naGVsbG8KQ29uZmlkZW50aWFsLg0K\n",
           false);
    expect(SAY, "Subject: x\nContent-Transfer-Encoding: quoted-printable\n\nh=C3=A4\n",
           "Subject: x\nContent-Transfer-Encoding: quoted-printable\n\nh=C3=A4\nConfidential.\n",
           false);
}

#define NOTE                                                                                       \
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n"               \
    "Content-Disposition: inline\r\n\r\nConfidential.\r\n"

static void a_message_without_text(void **state)
{
    (void)state;
    expect(SAY, HEAD EXE("a.exe") END, HEAD EXE("a.exe") "--b\r\n" NOTE END, false);
    expect(SAY,
           "Subject: x\r\nContent-Type: application/pdf;\r\n name=a.pdf\r\n"
           "Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n",
           "Content-Type: multipart/mixed; boundary=\"=_" ID "\"\r\nMIME-Version: 1.0\r\n"
           "Subject: x\r\n\r\n--=_" ID "\r\nContent-Type: application/pdf;\r\n name=a.pdf\r\n"
           "Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n\r\n--=_" ID "\r\n" NOTE "--=_" ID
           "--\r\n",
           false);
    expect(SAY, "Subject: x\nContent-Type: image/gif\n\nGIF",
           "Content-Type: multipart/mixed; boundary=\"=_" ID "\"\nMIME-Version: 1.0\nSubject: x\n\n"
           "--=_" ID "\nContent-Type: image/gif\n\nGIF\n--=_" ID "\n"
           "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n"
           "Content-Disposition: inline\n\nConfidential.\n--=_" ID "--\n",
           false);
    /* Cut off: nothing can be joined. Signed as a whole: left alone. Its text was taken out: no. */
    expect(SAY, HEAD "--b\r\nContent-Type: a/b\r\n\r\nMZ",
           HEAD "--b\r\nContent-Type: a/b\r\n\r\nMZ", false);
    static const char sealed[] = "Subject: x\r\nContent-Type: application/pkcs7-mime; "
                                 "smime-type=signed-data\r\n\r\nMII\r\n";
    expect(SAY, sealed, sealed, false);
}

static void several_disclaimers(void **state)
{
    (void)state;
    static const char two[] = "    header: {Subject: true}\n    continue: true\n"
                              "    do: {add_disclaimer: {text: One., html: <b>1</b>}}\n"
                              "  - name: q\n    header: {Subject: true}\n    continue: true\n"
                              "    do: [{add_disclaimer: Two.}, {add_disclaimer: Two.}]";
    expect(two, "Subject: x\n\nhello\n", "Subject: x\n\nhello\nOne.\nTwo.\n", false);
    expect(two, "Subject: x\nContent-Type: text/html\n\n<p>a</p>\n",
           "Subject: x\nContent-Type: text/html\n\n<p>a</p>\n<b>1</b>\n<p>Two.</p>\n", false);
}

static void disclaimers_beyond_ascii(void **state)
{
    (void)state;
    static const char say[] = "    header: {Subject: true}\n    do: {add_disclaimer: {text: "
                              "\"für\", html: \"<i>ü</i>\"}}";
    expect(say, "Subject: x\n\nhello\n",
           "Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=utf-8\n"
           "Subject: x\n\nhello\nf=C3=BCr\n",
           false);
    expect(say,
           "Subject: x\nContent-Type: text/plain; charset=iso-8859-1\n"
           "Content-Transfer-Encoding: 8bit\n\nh\xe4\n",
           "Subject: x\nContent-Type: text/plain; charset=iso-8859-1\n"
           "Content-Transfer-Encoding: 8bit\n\nh\xe4\nf\xfcr\n",
           false);
    expect(say, "Subject: x\nContent-Type: text/html; charset=koi8-r\n\n<p>a</p>\n",
           "Subject: x\nContent-Type: text/html; charset=koi8-r\n\n<p>a</p>\n<i>&#252;</i>\n",
           false);
}

static void what_goes_beside(void **state)
{
    (void)state;
    struct verdict v;
    struct scene s = scene_of(
        "hostname: gate.example.org\nvirus: {enabled: no}\nrules: {enabled: no}\npolicies:\n"
        "  - name: all\n    continue: true\n    do: {copy: archive@example.org}\n"
        "  - name: bob\n    recipients: ['bob@*']\n    do:\n"
        "      - redirect: [joe@example.org, joe@example.org]\n      - change_sender: '<>'\n"
        "      - notify: {to: [sender, recipients, pm@example.org], text: 'see _ID_'}\n"
        "  - name: default\n    do: [{add_recipient: eve@example.org}, keep]\n",
        "Subject: hi\r\n\r\nx\r\n");
    memcpy(s.m->id, ID, sizeof ID);
    struct rcpt rcpts[] = {{.addr = SPAN("bob@example.org")}, {.addr = SPAN("ann@example.org")}};
    s.m->env.rcpts = rcpts;
    s.m->env.nrcpts = 2;
    verdict_decide(s.ps, &s.set->virus, s.m, s.parts, NULL, s.m->arena, &v);
    assert_int_equal(v.n, 2);
    struct delivery d = action_delivery(&v.v[0], s.m->arena);
    assert_true(d.redirect && d.change_sender && d.sender.n == 0 && d.nadd == 1 && !d.keep);
    assert_true(span_eq(d.add[0], SPAN("joe@example.org")));
    d = action_delivery(&v.v[1], s.m->arena);
    assert_true(!d.redirect && !d.change_sender && d.nadd == 1 && d.keep);
    struct mails m = action_mails(s.set, s.m, &v, s.m->arena);
    assert_int_equal(m.n, 2);
    assert_int_equal(m.v[0].nto, 3);
    assert_true(span_eq(m.v[0].to[0], SPAN("ann@sender.example")));
    assert_true(span_search(m.v[0].bytes, SPAN("see " ID)) != SIZE_MAX);
    assert_true(span_search(m.v[0].bytes, SPAN("Auto-Submitted: auto-generated")) != SIZE_MAX);
    assert_false(m.v[1].bytes.p); /* one copy for both groups */
    assert_int_equal(m.v[1].nto, 1);
    /* Machines are not answered, nor are forged senders. */
    s.m->raw = SPAN("List-Id: <l>\r\nSubject: hi\r\n\r\nx\r\n");
    assert_int_equal(action_mails(s.set, s.m, &v, s.m->arena).v[0].nto, 2);
    v.v[0].outcome = OUT_DEFER;
    assert_int_equal(action_mails(s.set, s.m, &v, s.m->arena).n, 0);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_dropped),
        cmocka_unit_test(parts_are_replaced),
        cmocka_unit_test(a_body_that_may_be_header),
        cmocka_unit_test(a_part_without_a_place),
        cmocka_unit_test(signed_parts_stay),
        cmocka_unit_test(parts_are_renamed),
        cmocka_unit_test(disclaimers),
        cmocka_unit_test(a_message_without_text),
        cmocka_unit_test(several_disclaimers),
        cmocka_unit_test(disclaimers_beyond_ascii),
        cmocka_unit_test(what_goes_beside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

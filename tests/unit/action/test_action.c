#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#include "action/action.h"
#include "rules/conf.h"

struct scene {
    struct arena *a;
    struct settings set;
    struct policy policy;
    struct message m;
    struct decision d;
    struct applied applied;
    struct conf *conf; /* of rule files without a line */
};

#define ID "3K7F0Q2M8TZC0000"
#define TRACE                                                                                      \
    "Received: from client.example (mail.sender.example [192.0.2.7])\r\n"                          \
    "\tby gate.example.org with ESMTP id " ID ";\r\n"                                              \
    "\tSun, 22 Nov 2026 07:30:00 +0000\r\n"

static int setup(void **state)
{
    static struct scene s;
    s = (struct scene){.a = arena_new(0)};
    setenv("TZ", "UTC", 1);
    tzset();
    s.set.hostname = "gate.example.org";
    s.set.virus.enabled = true;
    s.applied.policy = &s.policy;
    s.policy = (struct policy){.name = "default", .scan = true, .headers = HEADERS_NONE};
    memcpy(s.m.id, ID, sizeof ID);
    s.m.arena = s.a;
    s.m.has_envelope = true;
    s.m.received = (usec)1795332600 * USEC_PER_SEC;
    s.m.peer = (struct peer){.has_ip = true,
                             .name = SPAN("mail.sender.example"),
                             .helo = SPAN("client.example"),
                             .protocol = SPAN("ESMTP"),
                             .listener = SPAN("mx")};
    ip_parse(SPAN("192.0.2.7"), &s.m.peer.ip);
    s.m.facts.virus.state = VIRUS_CLEAN;
    s.m.facts.rules = (struct rules_facts){
        .ran = true, .score = 1, .autolearn = "no", .version = "4.0.1", .required = 5};
    s.d = (struct decision){.policy = &s.policy,
                            .applied = &s.applied,
                            .napplied = 1,
                            .outcome = OUT_ACCEPT,
                            .required = 5,
                            .reason = "clean"};
    static const struct conf_options options = {.local_only = true};
    s.conf = conf_new(s.a, &options);
    conf_finish(s.conf);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    arena_free(((struct scene *)*state)->a);
    return 0;
}

static void expect(struct scene *s, const char *raw, const char *want)
{
    s->m.raw = span_str(raw);
    struct splices edits = {0};
    struct buf out = {0};
    action_edits(&s->set, s->conf, &s->m, &s->d, s->a, &edits);
    struct err e;
    assert_int_equal(splices_sort(&edits, s->m.raw.n, &e), 0);
    splices_apply(&edits, s->m.raw, &out);
    assert_string_equal(out.p, want);
    buf_free(&out);
}

#define OURS TRACE "X-Virus-Status: Clean\r\nX-Gatehouse-Id: " ID "\r\n"

static void bytes_stay_identical(void **state)
{
    struct scene *s = *state;
    static const char raw[] =
        "Subject:  odd \t spacing\r\n\tfold \r\nno colon here\r\nX-Empty:\r\n\r\n"
        "X-Spam-Flag: in the body\r\n\r\n\xff\x80 bytes\r\n";
    char want[1024];
    snprintf(want, sizeof want, "%s%s", OURS, raw);
    expect(s, raw, want);
}

static void forged_copies_are_removed(void **state)
{
    struct scene *s = *state;
    expect(
        s,
        "X-Spam-Status: No\r\nFrom: a@b\r\nx-spam-flag : NO\r\n\tfolded\r\n more\r\n"
        "X-Virus-Status: Clean\r\nX-Virus-Scanned: kept\r\nX-Gatehouse-Id: 1\r\n"
        "Authentication-Results: gate.example.org; spf=pass\r\n"
        "authentication-results: (a (b\\) ) c)\r\n \"GATE.example.org\" 1; none\r\n"
        "Authentication-Results: other.example; spf=pass\r\n"
        "Authentication-Results: gate.example.org.evil; x=y\r\nTo: c@d\r\n\r\nX-Spam-Level: *\r\n",
        OURS "From: a@b\r\nX-Virus-Scanned: kept\r\n"
             "Authentication-Results: other.example; spf=pass\r\n"
             "Authentication-Results: gate.example.org.evil; x=y\r\nTo: c@d\r\n\r\n"
             "X-Spam-Level: *\r\n");
}

/* Lines for the message, LF line ends. */
static const char *const forgeries[] = {
    "X-Spam-Flag: NO\n",
    "X-Spam-Flag : NO\n",
    "X-Spam-Flag \t : NO\n",
    "X-Spam-Flag:NO\n",
    "x-sPAM-fLAG: NO\n",
    "X-Spam-Flag:\n NO\n",
    "X-Spam-Status: No,\n\tscore=0 required=5\n \n more\n",
    "X-Spam-Flag\n : NO\n",
    "X-Spam-Flag\n\t\n  :NO\n",
    "X-Spam-: NO\n",
    "X-Spam-Anything-Else: x: y: z\n",
    "X-GATEHOUSE-Id: 1\n",
    "X-Gatehouse-Outcome : clean\n",
    "X-Virus-Status: Clean\n",
    "x-virus-status\t: Clean\n",
    "X-Virus-Status\n :\n Clean\n",
    "Authentication-Results: gate.example.org; spf=pass\n",
    "authentication-results : GATE.EXAMPLE.ORG 1; none\n",
    "Authentication-Results:\n (a (b\\) )\n c)\n \"gate.example.org\"; none\n",
    "Authentication-Results\n\t: gate.example.org;none\n",
};
static const char *const innocent[] = {
    "X-Spam: NO\n",
    "Not-X-Spam-Flag: NO\n",
    "X-Virus-Statuses: Clean\n",
    "Subject: X-Spam-Flag: NO\n\tX-Spam-Flag: NO\n",
    "X-Spam-Flag without colon\n",
    "Authentication-Results: gate.example.org.evil; spf=pass\n",
    "Authentication-Results: (gate.example.org) other; spf=pass\n",
    "Authentication-Results:\n",
};
/* What stands in front of the field, and whether it stays in front of ours. */
static const struct {
    const char *separator, *header;
} places[] = {
    {"", ""},
    {"", "To: a\n"},
    {"", "one junk line\nTo: a\n"},
    {"", "To: a\njunk\njunk\njunk\njunk\njunk\njunk\njunk\njunk\njunk\n"},
    {"", "To: a\n--boundary\nContent-Type: x\n--\n--\n"},
    {"From a@b Sun Nov 22 07:30:00 2026\n", ""},
    {"From a@b Sun Nov 22 07:30:00 2026\n", "To: a\n"},
    {" 1-Jan-2024 10:00:00 +0000,20;000000000000-00000000\n", "To: a\n"},
};
static const char *const ends[] = {"\nX-Spam-Flag: body\n", "Cc: c\n\nX-Spam-Flag: body\n", "",
                                   "Cc: c\njunk"};

static void add_lines(struct buf *b, const char *lines, const char *eol)
{
    for (; *lines; lines++)
        if (*lines == '\n')
            buf_str(b, eol);
        else
            buf_char(b, *lines);
}

static void expect_spelling(struct scene *s, const char *field, bool removed, size_t place,
                            const char *end, const char *eol)
{
    struct buf raw = {0}, want = {0};
    add_lines(&raw, places[place].separator, eol);
    add_lines(&want, places[place].separator, eol);
    add_lines(&want, "X-Virus-Status: Clean\n", eol);
    add_lines(&raw, places[place].header, eol);
    add_lines(&want, places[place].header, eol);
    add_lines(&raw, field, eol);
    if (!removed)
        add_lines(&want, field, eol);
    add_lines(&raw, end, eol);
    add_lines(&want, end, eol);
    expect(s, raw.p, want.p);
    buf_free(&raw);
    buf_free(&want);
}

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void forged_in_every_spelling(void **state)
{
    struct scene *s = *state;
    s->m.has_envelope = false;
    for (size_t place = 0; place < COUNT(places); place++)
        for (size_t end = 0; end < COUNT(ends); end++)
            for (int crlf = 0; crlf < 2; crlf++) {
                const char *eol = crlf ? "\r\n" : "\n";
                for (size_t i = 0; i < COUNT(forgeries); i++)
                    expect_spelling(s, forgeries[i], true, place, ends[end], eol);
                for (size_t i = 0; i < COUNT(innocent); i++)
                    expect_spelling(s, innocent[i], false, place, ends[end], eol);
            }
}

/* However many fields or bytes stand in front. */
static void forged_behind_much(void **state)
{
    struct scene *s = *state;
    struct buf raw = {0}, want = {0};
    s->m.has_envelope = false;
    buf_str(&want, "X-Virus-Status: Clean\r\n");
    for (int i = 0; i < 6000; i++) {
        buf_printf(&raw, "X-N%d: x\r\n", i);
        buf_printf(&want, "X-N%d: x\r\n", i);
    }
    buf_str(&raw, "Authentication-Results: (");
    for (int i = 0; i < 10000; i++)
        buf_char(&raw, 'c');
    buf_str(&raw, ") gate.example.org; spf=pass\r\nx-spam-flag: NO\r\n\r\nbody\r\n");
    buf_str(&want, "\r\nbody\r\n");
    expect(s, raw.p, want.p);
    buf_free(&raw);
    buf_free(&want);
}

static void odd_beginnings(void **state)
{
    struct scene *s = *state;
    expect(s, "", OURS);
    expect(s, "X-Spam-Flag: NO", OURS);
    expect(s, "\r\nbody", OURS "\r\nbody");
    /* A leading continuation line continues our last field, never one that says something. */
    expect(s, " X-Other: NO\r\nTo: a\r\n\r\n", OURS " X-Other: NO\r\nTo: a\r\n\r\n");
    expect(s, " X-Spam-Flag: NO\r\nTo: a\r\n\r\n", OURS "To: a\r\n\r\n");
    /* An empty line that only one kind of reader sees as one. */
    s->m.has_envelope = false;
    expect(s, "A: b\n\r\nX-Spam-Flag: NO\n\nX-Spam-Flag: body\n",
           "X-Virus-Status: Clean\nA: b\n\r\n\nX-Spam-Flag: body\n");
    expect(s, "A: b\r\n\nX-Spam-Flag: body\r\n",
           "X-Virus-Status: Clean\r\nA: b\r\n\nX-Spam-Flag: body\r\n");
    s->m.has_envelope = false;
    expect(s, "From a@b Sun Nov 22\nTo: a\n\nbody\n",
           "From a@b Sun Nov 22\nX-Virus-Status: Clean\nTo: a\n\nbody\n");
}

static void trace_forms(void **state)
{
    struct scene *s = *state;
    s->m.raw = SPAN("A: b\n\n");
    s->m.peer.tls_version = SPAN("TLSv1.3");
    s->m.peer.tls_cipher = SPAN("TLS_AES_256_GCM_SHA384");
    s->m.peer.protocol = SPAN("ESMTPS");
    s->m.peer.name = SPAN_NONE;
    s->m.peer.helo = SPAN("evil) by\r\nx (\"\\");
    ip_parse(SPAN("2001:db8::1"), &s->m.peer.ip);
    assert_string_equal(action_trace(&s->set, &s->m, s->a).p,
                        "Received: from evil??by??x???? (unknown [IPv6:2001:db8::1])\n"
                        "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\n"
                        "\tby gate.example.org with ESMTPS id " ID ";\n"
                        "\tSun, 22 Nov 2026 07:30:00 +0000\n");
    s->m.peer = (struct peer){.helo = SPAN("local")};
    assert_string_equal(action_trace(&s->set, &s->m, s->a).p,
                        "Received: from local\n\tby gate.example.org with SMTP id " ID ";\n"
                        "\tSun, 22 Nov 2026 07:30:00 +0000\n");
    s->m.has_envelope = false;
    assert_int_equal(action_trace(&s->set, &s->m, s->a).n, 0);
}

static void virus_status(void **state)
{
    struct scene *s = *state;
    s->m.has_envelope = false;
    s->m.facts.virus = (struct virus_facts){.state = VIRUS_FOUND, .name = SPAN("Eicar\r\nX: y")};
    expect(s, "A: b\n\n", "X-Virus-Status: Infected (Eicar??X: y)\nA: b\n\n");
    s->m.facts.virus.state = VIRUS_ERROR;
    expect(s, "A: b\n\n", "X-Virus-Status: Unscanned (virus engine does not answer)\nA: b\n\n");
    s->policy.scan = false;
    expect(s, "A: b\n\n", "X-Virus-Status: Unscanned (policy default does not scan)\nA: b\n\n");
    s->set.virus.enabled = false;
    expect(s, "A: b\n\n", "A: b\n\n");
}

static struct rule_hit hits[] = {
    {.name = "ZULU_RULE", .score = 3.2, .area = "BODY: ", .describe = "says Zulu", .count = 1},
    {.name = "ALPHA_RULE_WITH_A_RATHER_LONG_NAME", .score = 1.5, .area = "", .describe = "a"},
    {.name = "MIDDLE_RULE",
     .score = 3.339,
     .area = "RAW: ",
     .describe = "m",
     .count = 2,
     .evidence = {"ab\xff\0<\xc3\xa4>", 8}},
};

static void spam(struct scene *s)
{
    struct rules_facts *r = &s->m.facts.rules;
    s->m.has_envelope = false;
    s->set.virus.enabled = false;
    r->score = 8.039;
    r->hits = hits;
    r->nhits = 3;
    s->d.spam = true;
    s->d.outcome = OUT_TAG;
    s->d.reason = "spam";
    s->d.detail = SPAN("score 8.0 >= 5.0");
}

static void spamassassin_headers(void **state)
{
    struct scene *s = *state;
    s->policy.headers = HEADERS_SPAMASSASSIN;
    spam(s);
    expect(s, "A: b\n\n",
           "X-Spam-Checker-Version: SpamAssassin 4.0.1 (2024-03-25) on gate.example.org\n"
           "X-Spam-Flag: YES\nX-Spam-Level: ********\n"
           "X-Spam-Status: Yes, score=8.0 required=5.0\n"
           "\ttests=ALPHA_RULE_WITH_A_RATHER_LONG_NAME,MIDDLE_RULE,MIDDLE_RULE,\n"
           "\tZULU_RULE autolearn=no version=4.0.1\nX-Spam-Score: 8.0\nA: b\n\n");
    s->policy.report_header = true;
    s->m.facts.rules.nhits = 1;
    expect(s, "A: b\n\n",
           "X-Spam-Checker-Version: SpamAssassin 4.0.1 (2024-03-25) on gate.example.org\n"
           "X-Spam-Flag: YES\nX-Spam-Level: ********\n"
           "X-Spam-Status: Yes, score=8.0 required=5.0 tests=ZULU_RULE autolearn=no\n"
           "\tversion=4.0.1\nX-Spam-Score: 8.0\n"
           "X-Spam-Report: \n\t*  3.2 ZULU_RULE BODY: says Zulu\nA: b\n\n");
    s->m.facts.rules.nhits = 0;
    s->d.spam = false;
    s->m.facts.rules.score = 4.97;
    expect(s, "A: b\n\n",
           "X-Spam-Checker-Version: SpamAssassin 4.0.1 (2024-03-25) on gate.example.org\n"
           "X-Spam-Level: ****\n"
           "X-Spam-Status: No, score=4.9 required=5.0 tests=none autolearn=no version=4.0.1\n"
           "X-Spam-Score: 4.9\nA: b\n\n");
}

static void mimedefang_headers(void **state)
{
    struct scene *s = *state;
    s->policy.headers = HEADERS_MIMEDEFANG;
    s->policy.subject_tag = "****SPAM**** ";
    spam(s);
    expect(s, "Subject: buy\n\n",
           "X-Spam-Score: 8.039 (********) ZULU_RULE,ALPHA_RULE_WITH_A_RATHER_LONG_NAME,\n"
           "\tMIDDLE_RULE,MIDDLE_RULE\n"
           "Subject: ****SPAM**** buy\n\n");
    s->d.spam = false;
    expect(s, "Subject: buy\n\n", "Subject: buy\n\n");
}

static void subject_tags(void **state)
{
    struct scene *s = *state;
    s->policy.subject_tag = "[SPAM _SCORE_/_REQD_] ";
    spam(s);
    expect(s, "Subject: buy\r\n\r\n", "Subject: [SPAM 8.0/5.0] buy\r\n\r\n");
    expect(s, "SUBJECT:buy\r\n\r\n", "SUBJECT: [SPAM 8.0/5.0] buy\r\n\r\n");
    expect(s, "Subject: [SPAM 8.0/5.0] buy\r\n\r\n", "Subject: [SPAM 8.0/5.0] buy\r\n\r\n");
    expect(s, "Subject:\r\n =?utf-8?Q?x?=\r\n\r\n",
           "Subject: [SPAM 8.0/5.0] \r\n =?utf-8?Q?x?=\r\n\r\n");
    expect(s, "Subject: one\r\nsubject: two\r\n\r\n",
           "Subject: [SPAM 8.0/5.0] one\r\nsubject: [SPAM 8.0/5.0] two\r\n\r\n");
    expect(s, "To: a\r\n\r\nSubject: body\r\n",
           "Subject: [SPAM 8.0/5.0]\r\nTo: a\r\n\r\nSubject: body\r\n");
}

static void subject_tags_of_other_letters(void **state)
{
    struct scene *s = *state;
    s->policy.subject_tag = "[M\xc3\xbcll] ";
    spam(s);
    /* "[Müll] " with its space, and no line break inside. */
    expect(s, "Subject: =?utf-8?Q?x?=\n\n",
           "Subject: =?utf-8?q?=5BM=C3=BCll=5D_?= =?utf-8?Q?x?=\n\n");
}

static void with_actions(struct scene *s, struct policy_action *v, size_t n)
{
    s->policy.actions = (struct policy_actions){v, n};
}

static void policies_change_the_header(void **state)
{
    struct scene *s = *state;
    s->m.env.from = SPAN("ann@sender.example");
    struct policy_action v[] = {
        {.kind = ACTION_ADD_HEADER, .name = "X-From", .text = "_SENDER_ by _POLICY_"},
        {.kind = ACTION_CHANGE_HEADER, .name = "X-Old", .text = "neu \xc3\xbc"},
        {.kind = ACTION_CHANGE_HEADER, .name = "X-New", .text = "there"},
        {.kind = ACTION_DELETE_HEADER, .name = "X-Gone"},
        {.kind = ACTION_DELETE_HEADER, .name = "X-Spam-Flag"}, /* forged, and gone already */
        {.kind = ACTION_SUBJECT_PREFIX, .text = "[EXT] "},
        {.kind = ACTION_SUBJECT_PREFIX, .text = "[_ID_] "},
    };
    with_actions(s, v, sizeof v / sizeof v[0]);
    expect(s,
           "x-gone: 1\r\n\tfold\r\nSubject:  hello\r\nX-OLD:old\r\nX-Spam-Flag: NO\r\n"
           "X-Keep:  as it is \r\nX-Gone: 2\r\n\r\nX-Gone: body\r\n",
           TRACE "X-Virus-Status: Clean\r\nX-From: ann@sender.example by default\r\n"
                 "X-New: there\r\nX-Gatehouse-Id: " ID "\r\n"
                 "Subject:  [" ID "] [EXT] hello\r\nX-OLD: neu =?utf-8?b?w7w=?=\r\n"
                 "X-Keep:  as it is \r\n\r\nX-Gone: body\r\n");
}

static void one_of_several_fields(void **state)
{
    struct scene *s = *state;
    struct policy_action v[] = {
        {.kind = ACTION_DELETE_HEADER, .name = "X-A", .nth = 2},
        {.kind = ACTION_CHANGE_HEADER, .name = "X-A", .text = "new", .nth = 2},
        {.kind = ACTION_CHANGE_HEADER, .name = "X-A", .text = "added", .nth = 3},
        {.kind = ACTION_CHANGE_HEADER, .name = "Subject", .text = "other"},
        {.kind = ACTION_SUBJECT_PREFIX, .text = "P "},
        {.kind = ACTION_ADD_HEADER, .name = "To", .text = "a@b,\r\nBcc: evil@c"},
    };
    with_actions(s, v, sizeof v / sizeof v[0]);
    expect(s, "X-A: 1\nX-A: 2\nSubject: was\nX-A: 3\n\n",
           "Received: from client.example (mail.sender.example [192.0.2.7])\n"
           "\tby gate.example.org with ESMTP id " ID ";\n\tSun, 22 Nov 2026 07:30:00 +0000\n"
           "X-Virus-Status: Clean\nX-A: added\nTo: a@b,  Bcc: evil@c\nX-Gatehouse-Id: " ID "\n"
           "X-A: 1\nSubject: P other\nX-A: new\n\n");
}

static void replies_of_policies(void **state)
{
    struct scene *s = *state;
    struct policy_action x = {.kind = ACTION_REJECT, .text = "550 5.7.1 No mail from _SENDER_"};
    s->m.env.from = SPAN("a\xff@b");
    s->d.outcome = OUT_REJECT;
    s->d.order = &x;
    assert_string_equal(action_reply(&s->m, &s->d, s->a).p, "550 5.7.1 No mail from a?@b (" ID ")");
    s->d.outcome = OUT_DEFER;
    x.text = "451 4.7.1 Later";
    assert_string_equal(action_reply(&s->m, &s->d, s->a).p, "451 4.7.1 Later (" ID ")");
}

static void replies(void **state)
{
    struct scene *s = *state;
    assert_string_equal(action_reply(&s->m, &s->d, s->a).p, "250 2.0.0 accepted as " ID);
    s->d.outcome = OUT_HOLD;
    assert_string_equal(action_reply(&s->m, &s->d, s->a).p, "250 2.0.0 accepted as " ID);
    s->d = (struct decision){.outcome = OUT_REJECT, .reason = "virus", .detail = SPAN("A\r\nB")};
    assert_string_equal(action_reply(&s->m, &s->d, s->a).p,
                        "550 5.7.1 Refused, this message carries a virus: A??B (" ID ")");
    s->d.reason = "spam";
    assert_string_equal(action_reply(&s->m, &s->d, s->a).p,
                        "550 5.7.1 Refused, this message looks like spam (" ID ")");
    s->d.outcome = OUT_DEFER;
    assert_string_equal(action_reply(&s->m, &s->d, s->a).p,
                        "451 4.7.1 Not all checks are available now, please try again later (" ID
                        ")");
}

static const char *word(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void receipt(void **state)
{
    struct scene *s = *state;
    spam(s);
    s->m.has_envelope = true;
    struct envelope *env = &s->m.env;
    env->from = SPAN("a\xff@b");
    *ARENA_PUSH(s->a, env->rcpts, env->nrcpts, env->cap) = (struct rcpt){.addr = SPAN("c@d")};
    *ARENA_PUSH(s->a, env->rcpts, env->nrcpts, env->cap) = (struct rcpt){.addr = SPAN("e@f")};
    static const char *subrules[] = {"__ONE", "__TWO"};
    s->m.facts.rules.subrules = subrules;
    s->m.facts.rules.nsubrules = 2;
    struct skipped skipped = {"rules/SLOW", SPAN("match limit")};
    s->m.facts.skipped = &skipped;
    s->m.facts.nskipped = 1;
    struct fact fact = {"mime.boundary.duplicate", SPAN("2")};
    s->m.facts.facts = &fact;
    s->m.facts.nfacts = 1;
    s->m.raw = SPAN("A: b\n\n");
    uint32_t second = 1;
    s->d.rcpts = &second;
    s->d.nrcpts = 1;
    struct verdict v = {&s->d, 1};
    struct span text = action_receipt(&s->set, &s->m, &v, 1234, s->a);
    json_error_t error;
    json_t *j = json_loadb(text.p, text.n, 0, &error);
    assert_non_null(j);
    assert_string_equal(word(j, "id"), ID);
    assert_string_equal(word(j, "time"), "2026-11-22T07:30:00.000Z");
    assert_string_equal(word(j, "configuration"), "built-in defaults");
    assert_string_equal(word(json_object_get(j, "peer"), "ip"), "192.0.2.7");
    const json_t *e = json_object_get(j, "envelope");
    assert_string_equal(word(e, "from"), "a\xef\xbf\xbd@b");
    assert_int_equal(json_array_size(json_object_get(e, "to")), 2);
    const json_t *r = json_object_get(j, "rules");
    assert_true(strstr(text.p, "\"score\":8.039,") != NULL);
    const json_t *hit = json_array_get(json_object_get(r, "hits"), 2);
    assert_string_equal(word(hit, "name"), "MIDDLE_RULE");
    assert_string_equal(word(hit, "area"), "RAW");
    assert_string_equal(word(hit, "evidence"), "ab\xef\xbf\xbd\xef\xbf\xbd<\xc3\xa4>");
    assert_int_equal(json_integer_value(json_object_get(hit, "count")), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(r, "subrules"), 1)),
                        "__TWO");
    assert_string_equal(word(json_object_get(j, "virus"), "state"), "clean");
    assert_string_equal(word(json_array_get(json_object_get(j, "skipped"), 0), "why"),
                        "match limit");
    assert_string_equal(word(json_object_get(j, "facts"), "mime.boundary.duplicate"), "2");
    const json_t *d = json_array_get(json_object_get(j, "decisions"), 0);
    assert_string_equal(word(d, "outcome"), "tag");
    assert_string_equal(word(d, "detail"), "score 8.0 >= 5.0");
    assert_string_equal(json_string_value(json_array_get(json_object_get(d, "recipients"), 0)),
                        "e@f");
    assert_int_equal(json_integer_value(json_object_get(j, "micros")), 1234);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_stay_identical, setup, teardown),
        cmocka_unit_test_setup_teardown(forged_copies_are_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(forged_in_every_spelling, setup, teardown),
        cmocka_unit_test_setup_teardown(forged_behind_much, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_beginnings, setup, teardown),
        cmocka_unit_test_setup_teardown(trace_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(virus_status, setup, teardown),
        cmocka_unit_test_setup_teardown(spamassassin_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(mimedefang_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(subject_tags, setup, teardown),
        cmocka_unit_test_setup_teardown(subject_tags_of_other_letters, setup, teardown),
        cmocka_unit_test_setup_teardown(policies_change_the_header, setup, teardown),
        cmocka_unit_test_setup_teardown(one_of_several_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(replies_of_policies, setup, teardown),
        cmocka_unit_test_setup_teardown(replies, setup, teardown),
        cmocka_unit_test_setup_teardown(receipt, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The store: counts add up, duplicates are refused, what is old goes; items and the keeper; a
 * report made twice is the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "reports/keeper.h"
#include "reports/made.h"
#include "reports/pack.h"

enum { TODAY = 1763683200 };

static char dir[64];
static struct arena *a;
static struct report_store *s;
static struct err e;

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/gatehouse-reports-XXXXXX");
    assert_non_null(mkdtemp(dir));
    a = arena_new(0);
    s = report_store_open(dir, &e);
    assert_non_null(s);
    return log_open("/dev/null", LOG_TEXT, LOG_FAULT);
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    report_store_close(s);
    arena_free(a);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

#define POLICY "v=DMARC1; p=reject; rua=mailto:r@bank.example"

/* What one message adds. */
static struct agg_report one(const char *domain, const char *ip, const char *spf, int64_t at)
{
    struct agg_auth *x = arena_array(a, 1, sizeof *x);
    *x = (struct agg_auth){
        .spf = true, .domain = span_str(domain), .scope = SPAN("mfrom"), .result = span_str(spf)};
    struct agg_row *w = arena_array(a, 1, sizeof *w);
    *w = (struct agg_row){.ip = span_str(ip),
                          .count = 1,
                          .disposition = strcmp(spf, "pass") ? SPAN("reject") : SPAN("none"),
                          .dkim = SPAN("fail"),
                          .spf = span_str(spf),
                          .header_from = span_str(domain),
                          .envelope_from = span_str(domain),
                          .auth = x,
                          .nauth = 1};
    return (struct agg_report){
        .begin = at,
        .end = at,
        .policy = {.domain = span_str(domain), .record = SPAN(POLICY), .method = SPAN("treewalk")},
        .rows = w,
        .n = 1};
}

static void saw(const char *domain, const char *ip, const char *spf, int64_t at)
{
    struct agg_report r = one(domain, ip, spf, at);
    if (report_store_saw(s, &r, &e))
        fail_msg("%s", e.text);
}

static void counted(void **state)
{
    struct report_item *items;
    size_t n;
    struct agg_report r;
    (void)state;
    for (int i = 0; i < 5; i++)
        saw("bank.example", "192.0.2.1", "pass", TODAY + 3600 * i);
    saw("bank.example", "192.0.2.1", "fail", TODAY + REPORTS_DAY - 1);
    saw("bank.example", "192.0.2.2", "fail", TODAY);
    saw("bank.example", "192.0.2.2", "fail", TODAY + REPORTS_DAY); /* the next day */
    saw("other.example", "192.0.2.1", "pass", TODAY);
    assert_int_equal(report_store_day(s, REPORTS_DMARC, TODAY, a, &items, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_true(span_eq(items[0].domain, SPAN("bank.example")));
    assert_true(span_eq(items[0].policy, SPAN(POLICY)));
    assert_int_equal(items[0].rows, 3);
    assert_false(items[0].sent);
    assert_int_equal(report_store_load(s, items[0].serial, a, &r, &e), 0);
    assert_int_equal(r.n, 3);
    assert_int_equal(agg_sum(&r).messages, 7);
    assert_int_equal(agg_sum(&r).aligned, 5);
    assert_int_equal(r.begin, TODAY);
    assert_int_equal(r.end, TODAY + REPORTS_DAY - 1);
    assert_int_equal(r.rows[0].nauth, 1);
    /* Another policy of the same domain is another report. */
    struct agg_report changed = one("bank.example", "192.0.2.1", "pass", TODAY);
    changed.policy.record = SPAN("v=DMARC1; p=none");
    assert_int_equal(report_store_saw(s, &changed, &e), 0);
    assert_int_equal(report_store_day(s, REPORTS_DMARC, TODAY, a, &items, &n, &e), 0);
    assert_int_equal(n, 3);
    assert_int_equal(report_store_done(s, REPORTS_DMARC, items[0].serial, SPAN("sent"), &e), 0);
    assert_int_equal(report_store_day(s, REPORTS_DMARC, TODAY, a, &items, &n, &e), 0);
    assert_true(items[0].sent && !items[1].sent);
}

/* A record that is another one with each question makes no thousand reports. */
static void changing_policy(void **state)
{
    struct report_item *items;
    size_t n;
    uint64_t messages = 0;
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct agg_report r = one("bank.example", "192.0.2.1", "pass", TODAY);
        r.policy.record = arena_printf(a, "v=DMARC1; p=none; x=%d", i);
        assert_int_equal(report_store_saw(s, &r, &e), 0);
    }
    assert_int_equal(report_store_day(s, REPORTS_DMARC, TODAY, a, &items, &n, &e), 0);
    assert_int_equal(n, AGG_POLICIES_MAX);
    for (size_t i = 0; i < n; i++) {
        struct agg_report r;
        assert_int_equal(report_store_load(s, items[i].serial, a, &r, &e), 0);
        messages += agg_sum(&r).messages;
    }
    assert_int_equal(messages, 20);
    saw("other.example", "192.0.2.1", "pass", TODAY);
    assert_int_equal(report_store_day(s, REPORTS_DMARC, TODAY, a, &items, &n, &e), 0);
    assert_int_equal(n, AGG_POLICIES_MAX + 1);
}

static struct agg_report theirs(const char *org, const char *id)
{
    struct agg_report r = one("bank.example", "203.0.113.1", "pass", TODAY);
    r.org = span_str(org);
    r.id = span_str(id);
    r.end = TODAY + REPORTS_DAY - 1;
    r.rows[0].count = 40;
    return r;
}

static void duplicates(void **state)
{
    const struct report_origin stranger = {.at = 1, .sender = SPAN("x.example")};
    const struct report_origin proven = {.at = 2, .sender = SPAN("org.example"), .verified = true};
    struct agg_report r = theirs("org", "1"), other = theirs("org2", "1");
    (void)state;
    assert_int_equal(report_store_put(s, &r, &stranger, &e), REPORT_STORED);
    assert_int_equal(report_store_put(s, &r, &stranger, &e), REPORT_DUPLICATE);
    assert_int_equal(report_store_put(s, &other, &stranger, &e), REPORT_STORED);
    /* A forger who was first does not keep the real one out, and can't replace it. */
    r.rows[0].count = 41;
    assert_int_equal(report_store_put(s, &r, &proven, &e), REPORT_STORED);
    assert_int_equal(report_store_put(s, &r, &stranger, &e), REPORT_DUPLICATE);
    assert_int_equal(report_store_put(s, &r, &proven, &e), REPORT_DUPLICATE);
    /* A full store takes no more of others, and goes on counting ours. */
    r.id = SPAN("2");
    report_store_limit(s, 4096);
    assert_int_equal(report_store_put(s, &r, &proven, &e), REPORT_NO_ROOM);
    saw("bank.example", "192.0.2.1", "pass", TODAY);
    report_store_limit(s, 1 << 30);
    assert_int_equal(report_store_put(s, &r, &proven, &e), REPORT_STORED);
}

struct sums {
    uint64_t lines, messages, aligned, rejected;
    char first[64];
};

static void on_source(void *ctx, const struct report_source *x)
{
    struct sums *t = ctx;
    if (!t->lines++)
        snprintf(t->first, sizeof t->first, "%.*s", SPAN_ARG(x->ip));
    t->messages += x->messages;
    t->aligned += x->aligned;
    t->rejected += x->rejected;
}

static struct sums sources(struct report_filter f)
{
    struct sums t = {0};
    if (report_store_sources(s, &f, on_source, &t, &e))
        fail_msg("%s", e.text);
    return t;
}

static void shown(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        saw("bank.example", "192.0.2.1", "pass", TODAY);
    saw("bank.example", "192.0.2.2", "fail", TODAY);
    saw("sub.bank.example", "192.0.2.3", "fail", TODAY);
    saw("notbank.example", "192.0.2.3", "fail", TODAY);
    saw("bank.example", "192.0.2.9", "pass", TODAY - REPORTS_DAY);
    struct agg_report r = theirs("org", "1");
    const struct report_origin o = {.at = 1};
    assert_int_equal(report_store_put(s, &r, &o, &e), REPORT_STORED);

    struct sums t = sources((struct report_filter){.ours = true, .from = TODAY});
    assert_int_equal(t.lines, 4);
    assert_int_equal(t.messages, 6);
    assert_int_equal(t.aligned, 3);
    assert_int_equal(t.rejected, 3);
    assert_string_equal(t.first, "192.0.2.1");
    t = sources(
        (struct report_filter){.ours = true, .from = TODAY, .domain = SPAN("Bank.example")});
    assert_int_equal(t.lines, 3); /* with what is below */
    t = sources((struct report_filter){.ours = true, .limit = 1});
    assert_int_equal(t.lines, 1);
    t = sources((struct report_filter){.ours = true, .to = TODAY});
    assert_string_equal(t.first, "192.0.2.9");
    t = sources((struct report_filter){0});
    assert_int_equal(t.messages, 40);
    assert_string_equal(t.first, "203.0.113.1");
}

static void tls_counted(void **state)
{
    static const struct span mx[] = {{"mx.a.example", 12}};
    struct tls_failure f = {
        .type = SPAN("certificate-expired"), .mx = SPAN("mx.a.example"), .count = 1};
    struct tls_policy p = {.type = SPAN("sts"),
                           .domain = SPAN("a.example"),
                           .mx = (struct span *)(uintptr_t)mx,
                           .nmx = 1,
                           .successes = 1};
    struct tls_report r = {.begin = TODAY + 7, .end = TODAY + 7, .policies = &p, .n = 1}, out;
    struct report_item *items;
    size_t n;
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(report_store_saw_tls(s, &r, &e), 0);
    p.successes = 0;
    p.failures = 1;
    p.v = &f;
    p.n = 1;
    for (int i = 0; i < 2; i++)
        assert_int_equal(report_store_saw_tls(s, &r, &e), 0);
    p.type = SPAN("no-policy-found");
    p.nmx = 0;
    assert_int_equal(report_store_saw_tls(s, &r, &e), 0);
    assert_int_equal(report_store_day(s, REPORTS_TLS, TODAY, a, &items, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_int_equal(report_store_load_tls(s, items[0].serial, a, &out, &e), 0);
    assert_int_equal(out.n, 2);
    assert_int_equal(out.policies[0].successes, 3);
    assert_int_equal(out.policies[0].failures, 2);
    assert_int_equal(out.policies[0].nmx, 1);
    assert_int_equal(out.policies[0].n, 1);
    assert_int_equal(out.policies[0].v[0].count, 2);
    assert_int_equal(out.policies[1].failures, 1);
}

static void expired(void **state)
{
    struct report_item *items;
    size_t n;
    (void)state;
    for (int day = 0; day < 10; day++) {
        saw("bank.example", "192.0.2.1", "pass", TODAY + day * REPORTS_DAY);
        struct tls_policy p = {.type = SPAN("sts"), .domain = SPAN("a.example"), .successes = 1};
        struct tls_report r = {.begin = TODAY + day * REPORTS_DAY, .policies = &p, .n = 1};
        assert_int_equal(report_store_saw_tls(s, &r, &e), 0);
    }
    usec before = (usec)(TODAY + 7 * REPORTS_DAY) * USEC_PER_SEC;
    assert_int_equal(report_store_expire(s, before, 4, &e), 8);
    assert_int_equal(report_store_expire(s, before, 4, &e), 6);
    assert_int_equal(report_store_expire(s, before, 4, &e), 0);
    assert_int_equal(sources((struct report_filter){.ours = true}).messages, 3);
    assert_int_equal(report_store_day(s, REPORTS_DMARC, TODAY + 7 * REPORTS_DAY, a, &items, &n, &e),
                     0);
    assert_int_equal(n, 1);
}

/* A stranger who sends from more names than anybody wants to read about. */
static void full(void **state)
{
    struct agg_report r = one("bank.example", "192.0.2.1", "pass", TODAY);
    struct report_item *items;
    size_t n;
    (void)state;
    assert_int_equal(report_store_begin(s, &e), 0);
    for (int i = 0; i < AGG_ROWS_MAX + 5; i++) {
        char ip[32];
        snprintf(ip, sizeof ip, "10.%d.%d.%d", i >> 16, (i >> 8) & 255, i & 255);
        r.rows[0].ip = span_str(ip);
        assert_int_equal(report_store_saw(s, &r, &e), 0);
    }
    r.rows[0].ip = SPAN("10.0.0.1"); /* who is known counts on */
    assert_int_equal(report_store_saw(s, &r, &e), 0);
    assert_int_equal(report_store_commit(s, &e), 0);
    assert_int_equal(report_store_day(s, REPORTS_DMARC, TODAY, a, &items, &n, &e), 0);
    assert_int_equal(items[0].rows, AGG_ROWS_MAX);
    struct agg_report out;
    assert_int_equal(report_store_load(s, items[0].serial, a, &out, &e), 0);
    assert_int_equal(out.left_out, 5);
    assert_int_equal(agg_sum(&out).messages, AGG_ROWS_MAX + 1);
}

static void items(void **state)
{
    struct buf b = {0};
    struct agg_report r = one("bank.example", "192.0.2.1", "pass", TODAY), t = theirs("org", "1");
    const struct report_origin o = {.at = 1};
    struct items_done done = {0};
    (void)state;
    item_saw(&b, &r);
    size_t first = b.n;
    item_put(&b, &t, &o);
    item_put(&b, &t, &o);
    buf_lstr(&b, SPAN("\x01junk"));
    buf_lstr(&b, SPAN(""));
    item_saw(&b, &r);
    assert_int_equal(items_apply(s, buf_span(&b), &done, &e), 0);
    assert_int_equal(done.stored, 3);
    assert_int_equal(done.refused, 1);
    assert_int_equal(done.unreadable, 2);
    done = (struct items_done){0};
    assert_int_equal(items_apply(s, span_sub(buf_span(&b), 0, first - 1), &done, &e), 0);
    assert_int_equal(done.stored, 0);
    buf_free(&b);
}

/* --- the keeper --- */

struct asking {
    uint64_t messages;
    bool done;
};

static void work(void *ctx, struct report_store *store, struct err *why)
{
    struct asking *k = ctx;
    struct sums t = {0};
    const struct report_filter f = {.ours = true};
    assert_non_null(store);
    assert_int_equal(report_store_sources(store, &f, on_source, &t, why), 0);
    k->messages = t.messages;
}

static void on_done(void *ctx)
{
    ((struct asking *)ctx)->done = true;
}

static void kept(void **state)
{
    uv_loop_t loop;
    struct settings set = {.paths = {.state = dir},
                           .reports = {.keep = (usec)100 * 365 * 86400 * USEC_PER_SEC}};
    struct agg_report r = one("bank.example", "192.0.2.1", "pass", TODAY);
    struct buf b = {0};
    struct asking asked = {0};
    (void)state;
    uv_loop_init(&loop);
    struct keeper *k = keeper_new(&loop, &set);
    item_saw(&b, &r);
    for (int i = 0; i < 100; i++)
        keeper_take(k, buf_span(&b));
    keeper_take(k, SPAN("\x07\0\0\0broken")); /* spoils nobody else's */
    keeper_take(k, buf_span(&b));
    keeper_run(k, work, on_done, &asked);
    for (int i = 0; i < 10000 && !asked.done; i++)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(asked.messages, 101);
    keeper_take(k, buf_span(&b));
    keeper_close(k); /* writes what waits */
    assert_int_equal(sources((struct report_filter){.ours = true}).messages, 102);
    assert_int_equal(uv_loop_close(&loop), 0);
    buf_free(&b);
}

/* --- made --- */

static void made(void **state)
{
    struct settings set = {.hostname = "gate.example",
                           .reports = {.from = "r@gate.example", .organisation = "Gate"}};
    struct report_item *list;
    size_t n;
    struct report_made x, y;
    struct buf mail = {0}, text = {0};
    (void)state;
    saw("bank.example", "192.0.2.1", "pass", TODAY);
    saw("ba/nk\"!.example", "192.0.2.1", "fail", TODAY);
    assert_int_equal(report_store_day(s, REPORTS_DMARC, TODAY, a, &list, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_int_equal(report_make(&set, s, REPORTS_DMARC, &list[1], true, a, &x, &e), 0);
    assert_int_equal(report_make(&set, s, REPORTS_DMARC, &list[1], true, a, &y, &e), 0);
    assert_true(span_eq(x.id, y.id) && span_eq(x.name, y.name) && span_eq(x.packed, y.packed));
    assert_true(span_starts(x.name, SPAN("gate.example!bank.example!1763683200!1763769599!")));
    assert_true(span_ends(x.name, SPAN(".xml.gz")));
    assert_true(span_starts(x.id, SPAN("20251121.")));
    assert_int_equal(unpack_gzip(x.packed, &text, &e), 0);
    assert_true(span_eq(buf_span(&text), x.text));
    assert_int_equal(x.good, 1);
    report_mail(&set, &x, SPAN("r@bank.example"), (usec)TODAY * USEC_PER_SEC, &mail);
    assert_true(
        span_starts(buf_span(&mail), SPAN("From: r@gate.example\r\nTo: r@bank.example\r\n"
                                          "Subject: Report Domain: bank.example\r\n"
                                          " Submitter: gate.example\r\n Report-ID: <2025")));
    size_t body = span_search(buf_span(&mail), SPAN("base64\r\n"));
    struct span encoded = span_from(buf_span(&mail), body);
    encoded = span_from(encoded, span_search(encoded, SPAN("\r\n\r\n")) + 4);
    assert_int_equal(report_mailed_size(&x), span_search(encoded, SPAN("--=")) < encoded.n
                                                 ? span_search(encoded, SPAN("--="))
                                                 : span_search(encoded, SPAN("--")));
    /* Names that no file and no header should have. */
    assert_int_equal(report_make(&set, s, REPORTS_DMARC, &list[0], true, a, &y, &e), 0);
    assert_true(span_eq(y.domain, SPAN("ba_nk__.example")));
    assert_false(span_eq(x.id, y.id));
    buf_free(&mail);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counted, setup, teardown),
        cmocka_unit_test_setup_teardown(changing_policy, setup, teardown),
        cmocka_unit_test_setup_teardown(duplicates, setup, teardown),
        cmocka_unit_test_setup_teardown(shown, setup, teardown),
        cmocka_unit_test_setup_teardown(tls_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(expired, setup, teardown),
        cmocka_unit_test_setup_teardown(full, setup, teardown),
        cmocka_unit_test_setup_teardown(items, setup, teardown),
        cmocka_unit_test_setup_teardown(kept, setup, teardown),
        cmocka_unit_test_setup_teardown(made, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

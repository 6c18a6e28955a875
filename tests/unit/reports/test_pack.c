/* Packing, unpacking, bombs; reports out of mails and archives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <zlib.h>

#include "mime/compose.h"
#include "reports/import.h"
#include "reports/pack.h"

#define REPORT                                                                                     \
    "<feedback><report_metadata><org_name>o</org_name><report_id>1</report_id><date_range><begin>" \
    "1763683200</begin><end>1763769599</end></date_range></report_metadata><policy_published>"     \
    "<domain>a.example</domain></policy_published></feedback>"
#define TLS_REPORT                                                                                 \
    "{\"organization-name\":\"o\",\"report-id\":\"1\",\"date-range\":{\"start-datetime\":"         \
    "\"2026-11-21T00:00:00Z\",\"end-datetime\":\"2026-11-21T23:59:59Z\"},\"policies\":["           \
    "{\"policy\":{\"policy-type\":\"sts\",\"policy-domain\":\"a.example\"}}]}"

/* A zip archive with n files of the same bytes. */
static void zip(struct buf *out, struct span bytes, int n)
{
    static char room[1 << 20];
    size_t used = 0;
    struct archive *z = archive_write_new();
    archive_write_set_format_zip(z);
    assert_int_equal(archive_write_open_memory(z, room, sizeof room, &used), ARCHIVE_OK);
    for (int i = 0; i < n; i++) {
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, "a!b!1!2.xml");
        archive_entry_set_size(e, (la_int64_t)bytes.n);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        archive_write_header(z, e);
        archive_write_data(z, bytes.p, bytes.n);
        archive_entry_free(e);
    }
    archive_write_close(z);
    archive_write_free(z);
    buf_add(out, span_of(room, used));
}

static void gzip_there_and_back(void **state)
{
    struct buf in = {0}, packed = {0}, again = {0}, out = {0};
    struct err e;
    (void)state;
    for (int i = 0; i < 200000; i++)
        buf_printf(&in, "%d ", i * 7);
    pack_gzip(&packed, buf_span(&in));
    pack_gzip(&again, buf_span(&in));
    assert_true(packed.n < in.n / 2);
    assert_true(span_eq(buf_span(&packed), buf_span(&again))); /* no time in it */
    assert_int_equal(unpack_gzip(buf_span(&packed), &out, &e), 0);
    assert_true(span_eq(buf_span(&in), buf_span(&out)));
    for (size_t cut = 0; cut < packed.n; cut += packed.n / 7) {
        buf_clear(&out);
        assert_int_equal(unpack_gzip(span_sub(buf_span(&packed), 0, cut), &out, &e), -1);
    }
    packed.p[packed.n / 2] ^= 0x55;
    buf_clear(&out);
    assert_int_equal(unpack_gzip(buf_span(&packed), &out, &e), -1);
    buf_free(&in);
    buf_free(&packed);
    buf_free(&again);
    buf_free(&out);
}

static void count_member(void *ctx, struct span bytes)
{
    (void)bytes;
    ++*(int *)ctx;
}

static void bombs(void **state)
{
    struct buf zeros = {0}, packed = {0}, out = {0};
    struct err e;
    int members = 0;
    (void)state;
    size_t n = PACK_OPEN_MAX + 1;
    memset(buf_room(&zeros, n), ' ', n);
    zeros.n = n;
    pack_gzip(&packed, buf_span(&zeros));
    assert_true(packed.n < 100000);
    assert_int_equal(unpack_gzip(buf_span(&packed), &out, &e), -1);
    assert_non_null(strstr(e.text, "more than 32 MiB"));
    assert_true(out.n <= PACK_OPEN_MAX + (128 << 10));
    /* Many small ones: the sum counts. */
    buf_clear(&packed);
    zip(&packed, span_sub(buf_span(&zeros), 0, PACK_OPEN_MAX / 4), 6);
    assert_int_equal(unpack_zip(buf_span(&packed), count_member, &members, &e), -1);
    assert_int_equal(members, 4);
    buf_clear(&packed);
    members = 0;
    zip(&packed, SPAN("x"), PACK_MEMBERS_MAX + 5);
    assert_int_equal(unpack_zip(buf_span(&packed), count_member, &members, &e), 0);
    assert_int_equal(members, PACK_MEMBERS_MAX);
    buf_free(&zeros);
    buf_free(&packed);
    buf_free(&out);
}

static void forms(void **state)
{
    (void)state;
    assert_int_equal(pack_form(SPAN("\x1f\x8b\x08")), PACK_GZIP);
    assert_int_equal(pack_form(SPAN("PK\x03\x04")), PACK_ZIP);
    assert_int_equal(pack_form(SPAN("\xef\xbb\xbf \r\n<?xml version")), PACK_XML);
    assert_int_equal(pack_form(SPAN("<feedback>")), PACK_XML);
    assert_int_equal(pack_form(SPAN(" {\"a\"")), PACK_JSON);
    assert_int_equal(pack_form(SPAN("From: a")), PACK_OTHER);
    assert_int_equal(pack_form(SPAN("")), PACK_OTHER);
}

/* --- out of what they come in --- */

struct seen {
    int agg, tls, problems;
};

static void on_agg(void *ctx, const struct agg_report *r)
{
    ((struct seen *)ctx)->agg += span_eq(r->policy.domain, SPAN("a.example"));
}

static void on_tls(void *ctx, const struct tls_report *r)
{
    ((struct seen *)ctx)->tls += span_eq(r->policies[0].domain, SPAN("a.example"));
}

static void on_problem(void *ctx, const char *why)
{
    (void)why;
    ((struct seen *)ctx)->problems++;
}

static struct seen import(struct span bytes)
{
    struct seen s = {0};
    struct import im = {.agg = on_agg, .tls = on_tls, .problem = on_problem, .ctx = &s};
    import_bytes(&im, bytes);
    assert_int_equal(im.reports, s.agg + s.tls);
    assert_int_equal(im.problems, s.problems);
    return s;
}

static void expect(struct span bytes, int agg, int tls, int problems)
{
    struct seen s = import(bytes);
    if (s.agg != agg || s.tls != tls || s.problems != problems)
        fail_msg("%d, %d, %d in %.60s", s.agg, s.tls, s.problems, bytes.p);
}

static void add_part(struct buf *b, const char *type, struct span bytes)
{
    buf_printf(b, "--x\r\nContent-Type: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n", type);
    compose_base64(b, bytes);
}

static void imports(void **state)
{
    struct buf gz = {0}, z = {0}, tls = {0}, mail = {0}, nested = {0};
    (void)state;
    pack_gzip(&gz, SPAN(REPORT));
    pack_gzip(&tls, SPAN(TLS_REPORT));
    zip(&z, SPAN(REPORT), 2);
    expect(SPAN(REPORT), 1, 0, 0);
    expect(SPAN(TLS_REPORT), 0, 1, 0);
    expect(buf_span(&gz), 1, 0, 0);
    expect(buf_span(&z), 2, 0, 0);
    expect(buf_span(&tls), 0, 1, 0);
    buf_str(&mail, "From: a@b.example\r\nMIME-Version: 1.0\r\n"
                   "Content-Type: multipart/mixed; boundary=x\r\n\r\n");
    add_part(&mail, "text/plain", SPAN("{ this is no report }"));
    add_part(&mail, "application/octet-stream; name=\"r.xml.gz\"", buf_span(&gz));
    add_part(&mail, "application/zip", buf_span(&z));
    add_part(&mail, "text/plain; name=r.xml", SPAN(REPORT));
    add_part(&mail, "application/tlsrpt+gzip", buf_span(&tls));
    add_part(&mail, "image/png", SPAN("\x89PNG"));
    buf_str(&mail, "--x--\r\n");
    expect(buf_span(&mail), 4, 1, 0);
    /* The attachment is the mail. */
    buf_clear(&mail);
    buf_str(&mail, "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: application/gzip\r\n"
                   "Content-Transfer-Encoding: base64\r\n\r\n");
    compose_base64(&mail, buf_span(&gz));
    expect(buf_span(&mail), 1, 0, 0);
    /* Archives in archives are not opened. */
    zip(&nested, buf_span(&gz), 1);
    expect(buf_span(&nested), 0, 0, 1);
    expect(SPAN("From: a@b.example\r\n\r\nhello\r\n"), 0, 0, 0);
    expect(SPAN(""), 0, 0, 0);
    expect(SPAN("<feedback>"), 0, 0, 1);
    expect(SPAN("\x1f\x8b\x08junk"), 0, 0, 1);
    expect(SPAN("PK\x03\x04junk"), 0, 0, 1);
    buf_free(&gz);
    buf_free(&z);
    buf_free(&tls);
    buf_free(&mail);
    buf_free(&nested);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gzip_there_and_back),
        cmocka_unit_test(bombs),
        cmocka_unit_test(forms),
        cmocka_unit_test(imports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

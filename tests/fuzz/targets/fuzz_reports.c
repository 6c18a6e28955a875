/* Reports of others: whatever they come in, read, written and read again; and the items that carry
 * them between our processes. */
#include <stdlib.h>

#include "reports/import.h"
#include "reports/item.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What was read is written and read to the same. */
static void on_agg(void *ctx, const struct agg_report *r)
{
    struct arena *a = ctx;
    struct buf b = {0};
    struct agg_report out;
    struct err e;
    agg_write(&b, r);
    if (agg_read(buf_span(&b), a, &out, &e) != 0 || out.n != r->n || !span_eq(out.id, r->id))
        abort();
    buf_clear(&b);
    agg_encode(&b, r);
    struct cursor c = cursor_over(buf_span(&b));
    if (!agg_decode(&c, a, &out) || !cursor_ok(&c) || out.n != r->n)
        abort();
    for (size_t i = 0; i < r->n; i++) {
        struct agg_row row = {0};
        buf_clear(&b);
        agg_auth_text(&b, r->rows[i].auth, r->rows[i].nauth);
        if (!agg_auth_parse(a, buf_span(&b), &row) || row.nauth != r->rows[i].nauth)
            abort();
    }
    buf_free(&b);
}

static void on_tls(void *ctx, const struct tls_report *r)
{
    struct arena *a = ctx;
    struct buf b = {0};
    struct tls_report out;
    struct err e;
    tls_write(&b, r);
    if (tls_read(buf_span(&b), a, &out, &e) != 0 || out.n != r->n)
        abort();
    buf_clear(&b);
    tls_encode(&b, r);
    struct cursor c = cursor_over(buf_span(&b));
    if (!tls_decode(&c, a, &out) || !cursor_ok(&c) || out.n != r->n)
        abort();
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *a = arena_new(0);
    struct span bytes = span_of((const char *)data, n);
    struct import im = {.agg = on_agg, .tls = on_tls, .ctx = a};
    struct agg_report agg;
    struct tls_report tls;
    struct span to[4];
    import_bytes(&im, bytes);
    struct cursor c = cursor_over(bytes);
    agg_decode(&c, a, &agg);
    c = cursor_over(bytes);
    tls_decode(&c, a, &tls);
    tls_record_parse(a, bytes, to, 4);
    arena_free(a);
    return 0;
}

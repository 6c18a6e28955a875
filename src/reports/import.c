#include "reports/import.h"

#include "mime/mime.h"
#include "reports/pack.h"

static bool full(const struct import *im)
{
    return im->reports + im->problems >= IMPORT_REPORTS_MAX || im->unpacked > IMPORT_OPEN_MAX;
}

static void problem(struct import *im, const struct err *e)
{
    im->problems++;
    if (im->problem)
        im->problem(im->ctx, e->text);
}

/* Each report has an arena of its own: a mail may bring several. */
static void read_xml(struct import *im, struct span bytes)
{
    struct arena *a = arena_new(0);
    struct agg_report r;
    struct err e;
    if (agg_read(bytes, a, &r, &e) == 0) {
        im->reports++;
        im->agg(im->ctx, &r);
    } else {
        problem(im, &e);
    }
    arena_free(a);
}

static void read_json(struct import *im, struct span bytes)
{
    struct arena *a = arena_new(0);
    struct tls_report r;
    struct err e;
    if (tls_read(bytes, a, &r, &e) == 0) {
        im->reports++;
        im->tls(im->ctx, &r);
    } else {
        problem(im, &e);
    }
    arena_free(a);
}

/* What is inside an archive: reports alone, no archives again. false: it is something else. */
static bool read_plain(struct import *im, struct span bytes)
{
    enum pack_form form = full(im) ? PACK_OTHER : pack_form(bytes);
    if (form == PACK_XML)
        read_xml(im, bytes);
    else if (form == PACK_JSON)
        read_json(im, bytes);
    return form == PACK_XML || form == PACK_JSON;
}

static void on_member(void *ctx, struct span bytes)
{
    struct import *im = ctx;
    read_plain(im, bytes);
    im->unpacked += bytes.n;
}

static void read_gzip(struct import *im, struct span bytes)
{
    struct buf b = {0};
    struct err e;
    if (unpack_gzip(bytes, &b, &e) != 0) {
        problem(im, &e);
    } else if (!read_plain(im, buf_span(&b))) {
        err_set(&e, "the gzip file holds no report");
        problem(im, &e);
    }
    im->unpacked += b.n;
    buf_free(&b);
}

static void read_zip(struct import *im, struct span bytes)
{
    struct err e;
    size_t before = im->reports + im->problems;
    if (unpack_zip(bytes, on_member, im, &e) != 0) {
        problem(im, &e);
    } else if (im->reports + im->problems == before) {
        err_set(&e, "the zip archive holds no report");
        problem(im, &e);
    }
}

/* true: it was a report, or an archive. */
static bool read_file(struct import *im, struct span bytes)
{
    switch (full(im) ? PACK_OTHER : pack_form(bytes)) {
    case PACK_GZIP:
        read_gzip(im, bytes);
        return true;
    case PACK_ZIP:
        read_zip(im, bytes);
        return true;
    case PACK_XML:
    case PACK_JSON:
        return read_plain(im, bytes);
    case PACK_OTHER:
        break;
    }
    return false;
}

static bool is_text(struct span type)
{
    return span_eq(type, SPAN("text/plain")) || span_eq(type, SPAN("text/html"));
}

static void read_mail(struct import *im, struct span bytes)
{
    struct arena *a = arena_new(0);
    const struct mime_limits limits = MIME_LIMITS_DEFAULT;
    struct mime *m = mime_parse(a, bytes, &limits);
    size_t looked = 0;
    for (struct mime_part *p = m->root; p && looked < IMPORT_PARTS_MAX; p = mime_next(p)) {
        /* Some call the attachment text/plain, but give it a name. */
        if (!p->leaf || (is_text(p->type) && !p->name.n))
            continue;
        looked++;
        read_file(im, mime_body(m, p));
    }
    arena_free(a);
}

void import_bytes(struct import *im, struct span bytes)
{
    im->reports = im->problems = im->unpacked = 0;
    if (!read_file(im, bytes))
        read_mail(im, bytes);
}

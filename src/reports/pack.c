#include "reports/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16, PIECE = 64 * 1024 };

enum pack_form pack_form(struct span s)
{
    if (span_starts(s, SPAN("\x1f\x8b")))
        return PACK_GZIP;
    if (span_starts(s, SPAN("PK\x03\x04")))
        return PACK_ZIP;
    if (span_starts(s, SPAN("\xef\xbb\xbf")))
        s = span_from(s, 3);
    s = span_trim(span_sub(s, 0, 256));
    if (span_starts(s, SPAN("<?xml")) || span_starts(s, SPAN("<feedback")) ||
        span_starts(s, SPAN("<!--")))
        return PACK_XML;
    return s.n && s.p[0] == '{' ? PACK_JSON : PACK_OTHER;
}

void pack_gzip(struct buf *b, struct span s)
{
    z_stream z = {0};
    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 9, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        abort(); /* no memory: as xmalloc */
    size_t most = deflateBound(&z, s.n);
    z.next_in = (Bytef *)(uintptr_t)s.p;
    z.avail_in = (uInt)s.n;
    z.next_out = (Bytef *)buf_room(b, most);
    z.avail_out = (uInt)most;
    deflate(&z, Z_FINISH);
    b->n += most - z.avail_out;
    deflateEnd(&z);
}

/* One piece. 1: go on. */
static int inflate_some(z_stream *z, struct buf *b, struct err *e)
{
    if (b->n >= PACK_OPEN_MAX)
        return err_set(e, "it unpacks to more than %d MiB", PACK_OPEN_MAX >> 20);
    z->next_out = (Bytef *)buf_room(b, PIECE);
    z->avail_out = PIECE;
    int code = inflate(z, Z_NO_FLUSH);
    b->n += PIECE - z->avail_out;
    if (code == Z_STREAM_END)
        return 0;
    if (code == Z_OK && (z->avail_in || z->avail_out == 0))
        return 1;
    if (code == Z_OK || code == Z_BUF_ERROR)
        return err_set(e, "the gzip file is cut short");
    return err_set(e, "the gzip file is damaged: %s", z->msg ? z->msg : "unreadable");
}

int unpack_gzip(struct span s, struct buf *b, struct err *e)
{
    z_stream z = {0};
    if (s.n > PACK_MAX)
        return err_set(e, "it is larger than %d MiB", PACK_MAX >> 20);
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
        return err_set(e, "out of memory");
    z.next_in = (Bytef *)(uintptr_t)s.p;
    z.avail_in = (uInt)s.n;
    int result;
    while ((result = inflate_some(&z, b, e)) == 1)
        ;
    inflateEnd(&z);
    return result;
}

/* The file at hand, behind what was unpacked before. */
static int take_member(struct archive *z, struct buf *b, size_t *open, struct err *e)
{
    for (;;) {
        la_ssize_t n = archive_read_data(z, buf_room(b, PIECE), PIECE);
        if (n < 0)
            return err_set(e, "the zip archive is damaged: %s", archive_error_string(z));
        if (n == 0)
            return 0;
        b->n += (size_t)n;
        *open += (size_t)n;
        if (*open > PACK_OPEN_MAX)
            return err_set(e, "it unpacks to more than %d MiB", PACK_OPEN_MAX >> 20);
    }
}

static int walk(struct archive *z, unpack_member_fn *member, void *ctx, struct err *e)
{
    struct archive_entry *entry;
    struct buf b = {0};
    size_t open = 0;
    int result = 0;
    for (int i = 0; i < PACK_MEMBERS_MAX && result == 0; i++) {
        int code = archive_read_next_header(z, &entry);
        if (code == ARCHIVE_EOF)
            break;
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN) {
            result = err_set(e, "the zip archive is damaged: %s", archive_error_string(z));
            break;
        }
        if (archive_entry_filetype(entry) == AE_IFDIR)
            continue;
        buf_clear(&b);
        result = take_member(z, &b, &open, e);
        if (result == 0)
            member(ctx, buf_span(&b));
    }
    buf_free(&b);
    return result;
}

int unpack_zip(struct span s, unpack_member_fn *member, void *ctx, struct err *e)
{
    if (s.n > PACK_MAX)
        return err_set(e, "it is larger than %d MiB", PACK_MAX >> 20);
    struct archive *z = archive_read_new();
    int result = -1;
    archive_read_support_format_zip(z);
    if (archive_read_open_memory(z, s.p, s.n) == ARCHIVE_OK)
        result = walk(z, member, ctx, e);
    else
        err_set(e, "the zip archive can't be read: %s", archive_error_string(z));
    archive_read_free(z);
    return result;
}

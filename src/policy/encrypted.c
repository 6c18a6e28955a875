/* What archives hold, as far as their lists of files tell; files that can't be looked into without
 * a password. */
#include "policy/parts_private.h"

#include <archive.h>
#include <archive_entry.h>
#include <zlib.h>

#include "base/buf.h"

static bool has(struct span s, const char *magic, size_t n)
{
    return s.n >= n && memcmp(s.p, magic, n) == 0;
}

static bool is_archive(struct span s)
{
    return has(s, "PK\003\004", 4) || has(s, "PK\005\006", 4) || has(s, "7z\xbc\xaf\x27\x1c", 6) ||
           has(s, "Rar!\x1a\x07", 6);
}

/* A header that can't be read is one of an archive whose list of members is encrypted too. */
static bool archive_encrypted(struct span s)
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    bool found = false;
    archive_read_support_format_zip(a);
    archive_read_support_format_7zip(a);
    archive_read_support_format_rar(a);
    archive_read_support_format_rar5(a);
    if (archive_read_open_memory(a, s.p, s.n) == ARCHIVE_OK) {
        for (size_t i = 0; !found && i < PART_MEMBERS_MAX; i++) {
            int r = archive_read_next_header(a, &e);
            if (r == ARCHIVE_EOF)
                break;
            found = r >= ARCHIVE_WARN && archive_entry_is_encrypted(e);
            if (r < ARCHIVE_WARN)
                break;
        }
        found = found || archive_read_has_encrypted_entries(a) == 1;
    }
    archive_read_free(a);
    return found;
}

/* ISO 32000-1 section 7.6: /Encrypt in the trailer, which a file may have more than one of. */
static bool pdf_encrypted(struct span s)
{
    return span_search(s, SPAN("/Encrypt ")) != SIZE_MAX ||
           span_search(s, SPAN("/Encrypt\r")) != SIZE_MAX ||
           span_search(s, SPAN("/Encrypt\n")) != SIZE_MAX ||
           span_search(s, SPAN("/Encrypt<<")) != SIZE_MAX;
}

/* [MS-OFFCRYPTO] 2.3: a compound file whose directory names a stream EncryptedPackage, in UTF-16.
 */
static bool office_encrypted(struct span s)
{
    static const char name[] = "E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e";
    return span_search(s, span_of(name, sizeof name - 1)) != SIZE_MAX;
}

bool bytes_encrypted(struct span s)
{
    if (is_archive(s))
        return archive_encrypted(s);
    if (span_search(span_sub(s, 0, 1024), SPAN("%PDF-")) != SIZE_MAX)
        return pdf_encrypted(s);
    if (has(s, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8))
        return office_encrypted(s);
    return span_search(span_sub(s, 0, 256), SPAN("-----BEGIN PGP MESSAGE-----")) != SIZE_MAX;
}

/* --- members --- */

/* The list of a tar file is all over it, so of a compressed one only the beginning is unpacked. */
enum { UNPACKED_MAX = 8 << 20 };

static bool is_tar(struct span s)
{
    return has(span_from(s, 257), "ustar", 5);
}

static bool unpack(struct span in, struct buf *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p, .avail_in = (uInt)(in.n & UINT32_MAX)};
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return false;
    z.next_out = (Bytef *)buf_room(out, UNPACKED_MAX);
    z.avail_out = UNPACKED_MAX;
    inflate(&z, Z_SYNC_FLUSH);
    out->n = UNPACKED_MAX - z.avail_out;
    inflateEnd(&z);
    return is_tar(buf_span(out));
}

static void add_member(struct parts *ps, struct part_facts *p, struct archive_entry *e)
{
    const char *name = archive_entry_pathname_utf8(e);
    name = name ? name : archive_entry_pathname(e);
    struct span clean = name ? part_clean_name(ps->arena, span_str(name)) : SPAN("");
    if (clean.n)
        p->members[p->nmembers++] = clean;
}

static void list_members(struct parts *ps, struct part_facts *p, struct span s)
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    archive_read_support_format_zip(a);
    archive_read_support_format_7zip(a);
    archive_read_support_format_rar(a);
    archive_read_support_format_rar5(a);
    archive_read_support_format_tar(a);
    if (archive_read_open_memory(a, s.p, s.n) == ARCHIVE_OK)
        for (size_t i = 0; i < PART_MEMBERS_MAX; i++) {
            int r = archive_read_next_header(a, &e);
            if (r == ARCHIVE_EOF || r < ARCHIVE_WARN)
                break;
            add_member(ps, p, e);
        }
    archive_read_free(a);
}

static void look_for_members(struct parts *ps, struct part_facts *p, struct span s)
{
    struct buf tar = {0};
    p->members = arena_array(ps->arena, PART_MEMBERS_MAX, sizeof *p->members);
    if (is_archive(s) || is_tar(s))
        list_members(ps, p, s);
    else if (has(s, "\x1f\x8b", 2) && ps->unpacked < PARTS_UNPACKED_MAX && ++ps->unpacked &&
             unpack(s, &tar))
        list_members(ps, p, buf_span(&tar));
    buf_free(&tar);
}

size_t part_members(struct parts *ps, struct part_facts *p, const struct span **v)
{
    struct span bytes = p->container ? SPAN("") : mime_body(ps->mime, p->part);
    if (!p->members && (is_archive(bytes) || is_tar(bytes) || has(bytes, "\x1f\x8b", 2)))
        look_for_members(ps, p, bytes);
    *v = p->members;
    return p->nmembers;
}

/* Files that can't be looked into without a password. */
#include "policy/parts_private.h"

#include <archive.h>
#include <archive_entry.h>

/* Members of an archive whose headers are read. */
enum { MEMBERS_MAX = 1000 };

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
        for (size_t i = 0; !found && i < MEMBERS_MAX; i++) {
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

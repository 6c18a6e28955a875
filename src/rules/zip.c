#include "rules/zip.h"

#include <archive.h>
#include <archive_entry.h>

#include "base/buf.h"

struct zip {
    struct arena *arena;
    struct archive *archive;
    size_t *budget;
    unsigned members;
};

struct zip *zip_open(struct arena *a, struct span data, size_t *budget)
{
    struct archive *archive = archive_read_new();
    if (!archive)
        return NULL;
    archive_read_support_format_zip_seekable(archive);
    if (archive_read_open_memory(archive, data.p, data.n) != ARCHIVE_OK) {
        archive_read_free(archive);
        return NULL;
    }
    struct zip *z = ARENA_NEW(a, struct zip);
    *z = (struct zip){a, archive, budget, 0};
    return z;
}

bool zip_next(struct zip *z, struct zip_member *out)
{
    struct archive_entry *entry;
    if (z->members++ >= ZIP_MEMBERS)
        return false;
    int rc = archive_read_next_header(z->archive, &entry);
    if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
        return false;
    const char *name = archive_entry_pathname(entry);
    if (!name)
        name = archive_entry_pathname_utf8(entry);
    *out = (struct zip_member){arena_dup(z->arena, span_str(name ? name : "")),
                               archive_entry_is_data_encrypted(entry) != 0};
    return true;
}

struct span zip_contents(struct zip *z)
{
    size_t most = *z->budget < ZIP_MEMBER_MAX ? *z->budget : ZIP_MEMBER_MAX;
    struct buf b = {0};
    ssize_t got = 1;
    while (got > 0 && b.n < most) {
        size_t want = most - b.n < 65536 ? most - b.n : 65536;
        got = archive_read_data(z->archive, buf_room(&b, want), want);
        if (got > 0)
            b.n += (size_t)got;
    }
    *z->budget -= b.n;
    struct span out = got < 0 || most == 0 ? SPAN_NONE : arena_dup(z->arena, buf_span(&b));
    buf_free(&b);
    return out;
}

void zip_close(struct zip *z)
{
    archive_read_free(z->archive);
}

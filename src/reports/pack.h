/* Reports packed for the mail and unpacked from it: gzip (zlib) and zip (libarchive). What is
 * unpacked is a stranger's: it stops at PACK_OPEN_MAX bytes in all, whatever the archive says. */
#ifndef GATEHOUSE_REPORTS_PACK_H
#define GATEHOUSE_REPORTS_PACK_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    PACK_MAX = 10 << 20,      /* bytes of one attachment or file, packed */
    PACK_OPEN_MAX = 32 << 20, /* unpacked */
    PACK_MEMBERS_MAX = 16     /* files in one zip archive that are looked at */
};

enum pack_form { PACK_GZIP, PACK_ZIP, PACK_XML, PACK_JSON, PACK_OTHER };
/* By its first bytes. */
enum pack_form pack_form(struct span s);

/* Appends s as one gzip member, without name and time: the same bytes for the same report. */
void pack_gzip(struct buf *b, struct span s);
/* The unpacked bytes, appended to b. 0, or -1 with e. */
int unpack_gzip(struct span s, struct buf *b, struct err *e);
/* Each file of the archive. 0, or -1 with e (then some may have been given already). */
typedef void unpack_member_fn(void *ctx, struct span bytes);
int unpack_zip(struct span s, unpack_member_fn *member, void *ctx, struct err *e);

#endif

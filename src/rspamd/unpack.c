#include "rspamd/unpack.h"

#include <stdlib.h>
#include <zstd.h>

#include "base/xalloc.h"

enum { PIECE = 64 * 1024 }; /* bytes given out at a time */

/* The library also reads forms from before RFC 8878, if it is fed them in one piece. */
static const unsigned char magic[] = {0x28, 0xb5, 0x2f, 0xfd};

struct unpack {
    ZSTD_DCtx *z;
    size_t seen; /* bytes of the magic number that were there */
    bool done;
    char piece[PIECE];
};

struct unpack *unpack_new(void)
{
    struct unpack *u = xmalloc(sizeof *u);
    u->done = false;
    u->seen = 0;
    u->z = ZSTD_createDCtx();
    if (!u->z ||
        ZSTD_isError(ZSTD_DCtx_setParameter(u->z, ZSTD_d_windowLogMax, UNPACK_WINDOW_LOG))) {
        unpack_free(u);
        return NULL;
    }
    return u;
}

void unpack_free(struct unpack *u)
{
    if (!u)
        return;
    ZSTD_freeDCtx(u->z);
    free(u);
}

bool unpack_feed(struct unpack *u, struct span in, bool (*take)(void *ctx, struct span out),
                 void *ctx)
{
    for (size_t i = 0; i < in.n && u->seen < sizeof magic; i++)
        if ((unsigned char)in.p[i] != magic[u->seen++])
            return false;
    ZSTD_inBuffer from = {in.p, in.n, 0};
    ZSTD_outBuffer to = {u->piece, PIECE, PIECE};
    /* A full piece may mean that there is more, although all input was taken. */
    while (!u->done && (from.pos < from.size || to.pos == PIECE)) {
        to.pos = 0;
        size_t left = ZSTD_decompressStream(u->z, &to, &from);
        if (ZSTD_isError(left) || (to.pos && !take(ctx, span_of(u->piece, to.pos))))
            return false;
        u->done = left == 0;
    }
    return from.pos == from.size;
}

bool unpack_done(const struct unpack *u)
{
    return u->done;
}

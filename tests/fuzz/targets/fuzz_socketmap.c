/* A session of a socketmap client: cut anywhere it asks the same questions, and what we write is a
 * netstring again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "socketmap/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct mta {
    struct socketmap_session s;
    struct buf log;
};

static void host_send(void *ctx, struct span bytes)
{
    struct span text;
    size_t used;
    (void)ctx;
    if (netstring_read(bytes, SIZE_MAX, &text, &used) != NETSTRING_DONE || used != bytes.n)
        abort();
}

static void host_ask(void *ctx, struct span map, struct span key)
{
    struct mta *m = ctx;
    if (map.n == 0 || map.n > SOCKETMAP_MAP_MAX || key.n > SOCKETMAP_REQUEST_MAX)
        abort();
    buf_lstr(&m->log, map);
    buf_lstr(&m->log, key);
    socketmap_answer(&m->s, (enum socketmap_status)(key.n % (SOCKETMAP_PERM + 1)), key);
}

static void host_close(void *ctx, const char *why)
{
    buf_str(&((struct mta *)ctx)->log, why);
}

static const struct socketmap_host host = {host_send, host_ask, host_close};

static void feed(struct mta *m, struct span in, size_t step)
{
    struct buf pending = {0};
    *m = (struct mta){.s = {.host = &host, .ctx = m}};
    for (size_t at = 0; at < in.n && !m->s.closed; at += step) {
        buf_add(&pending, span_sub(in, at, at + step));
        buf_drop(&pending, socketmap_input(&m->s, buf_span(&pending)));
    }
    buf_free(&pending);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 65536)
        return 0;
    struct span in = span_of((const char *)data + 1, size - 1);
    struct mta whole, cut;
    feed(&whole, in, in.n ? in.n : 1);
    feed(&cut, in, 1u + data[0] % 7);
    if (!span_eq(buf_span(&whole.log), buf_span(&cut.log)))
        abort();
    buf_free(&whole.log);
    buf_free(&cut.log);
    return 0;
}

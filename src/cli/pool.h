/* Worker processes that judge messages: one message each at a time, so that a message which crashes
 * or hangs its scanner costs itself and nothing else. Results come out in the order of the list. */
#ifndef GATEHOUSE_CLI_POOL_H
#define GATEHOUSE_CLI_POOL_H

#include "base/buf.h"

struct pool_result {
    bool failed;     /* could not be judged: text tells why */
    bool temporary;  /* failed by a crash or a time-out rather than by its file */
    bool bad;        /* spam or infected */
    uint64_t micros; /* of judging */
    struct span text;
};

/* Judges item `index` in a worker: appends its output (or, when failed, the reason) to out. */
typedef void pool_work(void *ctx, size_t index, struct pool_result *r, struct buf *out);
/* Called in a worker before its first item. */
typedef void pool_start(void *ctx);
/* Called in the parent, in order. */
typedef void pool_take(void *ctx, size_t index, const struct pool_result *r);
/* Called in the parent now and then with the number of finished items. */
typedef void pool_tick(void *ctx, size_t done);

struct pool_calls {
    pool_start *start;
    pool_work *work;
    pool_take *take;
    pool_tick *tick;
    void *ctx;
};

/* Items 0 to n-1 by `jobs` workers (1 to POOL_JOBS_MAX). Returns 0, or -1 when no worker can be
 * started. */
enum { POOL_JOBS_MAX = 256 };
int pool_run(size_t n, unsigned jobs, const struct pool_calls *calls);

#endif

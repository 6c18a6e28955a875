/* A queue in a temporary directory, driven by a loop of its own. */
#ifndef TEST_QUEUE_HELP_H
#define TEST_QUEUE_HELP_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "queue/queue.h"

struct bench {
    uv_loop_t loop;
    char dir[64];
    struct queue *q;
    struct queue_options o;
    struct queue_recovery found;
    unsigned seen, gone, answers, ok;
    enum queue_result last;
    char why[256];
};

static inline void remove_tree(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *f; d && (f = readdir(d));) {
        if (f->d_name[0] == '.')
            continue;
        char *path = xasprintf("%s/%s", dir, f->d_name);
        if (unlink(path) < 0)
            remove_tree(path);
        free(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

static inline void on_message(void *ctx, struct queue_msg *m)
{
    (void)m;
    ((struct bench *)ctx)->seen++;
}

static inline void on_gone(void *ctx, struct queue_msg *m)
{
    (void)m;
    ((struct bench *)ctx)->gone++;
}

static inline void on_put(void *ctx, enum queue_result r, const char *why)
{
    struct bench *b = ctx;
    b->answers++;
    b->ok += r == QUEUE_OK;
    b->last = r;
    snprintf(b->why, sizeof b->why, "%s", why);
}

static inline void bench_open(struct bench *b)
{
    struct err e = {0};
    struct queue_events ev = {on_message, on_gone};
    b->seen = 0;
    b->q = queue_open(&b->loop, b->dir, &b->o, &ev, b, &b->found, &e);
    if (!b->q)
        fail_msg("%s", e.text);
}

static inline void bench_begin(struct bench *b)
{
    memset(b, 0, sizeof *b);
    /* In memory where possible: these tests sync thousands of times. */
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(b->dir, sizeof b->dir, "%s/gatehouse-queue-XXXXXX", base);
    assert_non_null(mkdtemp(b->dir));
    uv_loop_init(&b->loop);
    b->o.segment_size = 1 << 20;
}

static inline void bench_close(struct bench *b)
{
    queue_close(b->q);
    b->q = NULL;
    uv_run(&b->loop, UV_RUN_DEFAULT);
}

static inline void bench_end(struct bench *b)
{
    if (b->q)
        bench_close(b);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    remove_tree(b->dir);
}

static inline struct queue_new message(const char *id, struct rcpt *rcpts, size_t n,
                                       struct span bytes)
{
    struct queue_new v = {.id = id, .created = 1000000, .fd = -1, .bytes = bytes};
    v.env.from = SPAN("sender@example.org");
    v.env.rcpts = rcpts;
    v.env.nrcpts = n;
    v.peer.helo = SPAN("client.example.org");
    return v;
}

static inline void put(struct bench *b, struct queue_new v)
{
    unsigned before = b->answers;
    queue_put(b->q, &v, 1, NULL, on_put, b);
    while (b->answers == before)
        uv_run(&b->loop, UV_RUN_ONCE);
}

static inline void flushed(void *ctx)
{
    *(bool *)ctx = true;
}

static inline void flush(struct bench *b)
{
    bool done = false;
    queue_flush(b->q, flushed, &done);
    while (!done)
        uv_run(&b->loop, UV_RUN_ONCE);
}

static inline struct span text_of(struct bench *b, struct queue_msg *m, struct buf *out)
{
    buf_clear(out);
    char *p = buf_room(out, m->size + 1);
    int64_t n = queue_read(b->q, m, 0, p, m->size + 1);
    assert_true(n >= 0);
    out->n = (size_t)n;
    return buf_span(out);
}

#endif

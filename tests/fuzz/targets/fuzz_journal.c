/* The queue's journal: metas and changes from the input, within records that check out, and the raw
 * rest behind them, recovered as after a crash. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "queue/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void nothing(void *ctx, struct queue_msg *m)
{
    (void)ctx;
    for (uint32_t i = 0; i < m->nrcpts; i++)
        if (m->rcpts[i].state > Q_DELETED)
            abort();
}

static void add_record(struct buf *b, struct cursor *in)
{
    struct record r = {.type = cursor_u8(in) % 3 + 1};
    struct span meta = cursor_lstr(in), rest = cursor_lstr(in);
    r.meta_size = (uint32_t)meta.n;
    r.meta_crc = crc32c(0, meta.p, meta.n);
    r.data_size = rest.n;
    r.data_crc = crc32c(0, rest.p, rest.n);
    record_header_write(buf_room(b, RECORD_HEADER), &r, 7);
    b->n += RECORD_HEADER;
    buf_add(b, meta);
    buf_add(b, rest);
    while (b->n % 8)
        buf_char(b, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char dir[64], path[128];
    if (!dir[0]) {
        snprintf(dir, sizeof dir, "/dev/shm/gatehouse-fuzz-XXXXXX");
        if (!mkdtemp(dir))
            abort();
        snprintf(path, sizeof path, "%s/0000000000000001", dir);
        if (log_open("/dev/null", LOG_TEXT, LOG_FAULT) < 0)
            abort();
    }
    struct buf b = {0};
    segment_header_write(buf_room(&b, SEGMENT_HEADER), 1, 7, 0);
    b.n = SEGMENT_HEADER;
    struct cursor in = cursor_over(span_of((const char *)data, size));
    for (int i = 0; i < 8 && !in.failed && in.rest.n; i++)
        add_record(&b, &in);
    buf_add(&b, in.rest);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (write(fd, b.p, b.n) != (ssize_t)b.n)
        abort();
    close(fd);
    buf_free(&b);
    struct queue_options o = {.read_only = true};
    struct queue_events ev = {nothing, NULL};
    struct err e;
    struct queue *q = queue_open(NULL, dir, &o, &ev, NULL, NULL, &e);
    if (q)
        queue_close(q);
    unlink(path);
    return 0;
}

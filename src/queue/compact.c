/* Getting room back. Segments are removed oldest first and only when nothing in them or before them
 * lives: so a change never has to outlive the segment it stands in. When live messages hold back
 * too much dead journal (more than the live bytes and COMPACT_SEGMENTS segments), those of the
 * oldest segment are copied to the end, with what is known about their recipients; each byte is
 * thus copied at most once for each byte that goes through. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "queue/queue_private.h"

enum { COMPACT_SEGMENTS = 4, COPY_MESSAGES = 64, COPY_BYTES = 4 << 20 };

struct copy {
    char id[QUEUE_ID_SIZE];
    uint32_t version;
};

static uint64_t segment_bytes(struct queue_segment *s)
{
    struct stat st;
    if (!s->bytes && s->fd >= 0 && fstat(s->fd, &st) == 0)
        s->bytes = (uint64_t)st.st_size;
    return s->bytes;
}

static void forget_oldest(struct queue *q)
{
    struct queue_segment *s = q->segments[0];
    writer_unlink(&q->writer, s->number);
    if (s->fd >= 0)
        close(s->fd);
    free(s);
    q->nsegments--;
    memmove(q->segments, q->segments + 1, q->nsegments * sizeof *q->segments);
}

static void copied(struct queue *q, struct job *j)
{
    struct copy *c = j->ctx;
    q->compacting = false;
    for (size_t i = 0; i < j->n; i++) {
        struct queue_msg *m = queue_find(q, span_str(c[i].id));
        if (j->result != QUEUE_OK) {
            continue;
        } else if (!m) {
            queue_finish_record(q, c[i].id);
        } else {
            bool known = m->version == c[i].version;
            queue_index_unplace(q, m);
            queue_index_place(q, m, j->v[i].segment, j->v[i].at, (uint32_t)j->v[i].meta.n);
            if (!known)
                queue_restate(q, m);
        }
        buf_free(&j->v[i].meta);
    }
    free(c);
    free(j->v);
    free(j);
}

static bool add_copy(struct queue *q, struct job *j, struct copy *c, struct queue_msg *m)
{
    struct queue_meta meta;
    struct err e;
    arena_reset(q->scratch);
    if (queue_meta(q, m, q->scratch, &meta, &e) < 0)
        return false; /* damaged: stays where it is until delivery finds out */
    struct piece *p = &j->v[j->n];
    *p = (struct piece){.type = RECORD_MESSAGE,
                        .fd = m->segment->fd,
                        .from = m->at + RECORD_HEADER + m->meta_size,
                        .base = m->size,
                        .size = m->size,
                        .copy = true,
                        .data_crc = meta.data_crc};
    record_meta_encode(&p->meta, &meta, m);
    memcpy(c[j->n].id, m->id, sizeof m->id);
    c[j->n].version = m->version;
    j->n++;
    return true;
}

static void copy_some(struct queue *q, struct queue_segment *s)
{
    struct job *j = xcalloc(1, sizeof *j);
    struct copy *c = xcalloc(COPY_MESSAGES, sizeof *c);
    j->v = xcalloc(COPY_MESSAGES, sizeof *j->v);
    j->copying = true;
    j->done = copied;
    j->ctx = c;
    uint64_t bytes = 0;
    for (struct queue_msg *m = s->first; m && j->n < COPY_MESSAGES && bytes < COPY_BYTES;
         m = m->next)
        if (add_copy(q, j, c, m))
            bytes += m->size;
    if (j->n) {
        q->compacting = true;
        writer_submit(&q->writer, j);
        return;
    }
    free(c);
    free(j->v);
    free(j);
}

void queue_compact(struct queue *q)
{
    if (q->compacting || q->closing || q->nsegments < 2)
        return;
    while (q->nsegments > 1 && q->segments[0]->live == 0)
        forget_oldest(q);
    uint64_t bytes = 0;
    for (size_t i = 0; i + 1 < q->nsegments; i++)
        bytes += segment_bytes(q->segments[i]);
    if (bytes > 2 * q->live_bytes + COMPACT_SEGMENTS * q->o.segment_size && !q->stuck)
        copy_some(q, q->segments[0]);
}

#include "queue/journal.h"

enum { RECORD_MAGIC = 0x31515247, META_VERSION = 1 };
#define SEGMENT_MAGIC "Gatehouse-Q1\r\n\x1a" /* 16 bytes with its NUL */

static uint32_t get32(const char *p)
{
    struct cursor c = cursor_over(span_of(p, 4));
    return cursor_u32(&c);
}

static uint64_t get64(const char *p)
{
    struct cursor c = cursor_over(span_of(p, 8));
    return cursor_u64(&c);
}

static void put32(char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (char)(v >> (8 * i));
}

static void put64(char *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

void segment_header_write(char out[SEGMENT_HEADER], uint64_t number, uint64_t salt, usec created)
{
    memset(out, 0, SEGMENT_HEADER);
    memcpy(out, SEGMENT_MAGIC, sizeof SEGMENT_MAGIC);
    put64(out + 16, number);
    put64(out + 24, salt);
    put64(out + 32, (uint64_t)created);
    put32(out + 60, crc32c(0, out, 60));
}

bool segment_header_read(struct span in, uint64_t number, uint64_t *salt)
{
    if (in.n < SEGMENT_HEADER || memcmp(in.p, SEGMENT_MAGIC, sizeof SEGMENT_MAGIC) != 0 ||
        get32(in.p + 60) != crc32c(0, in.p, 60) || get64(in.p + 16) != number)
        return false;
    *salt = get64(in.p + 24);
    return true;
}

void record_header_write(char out[RECORD_HEADER], const struct record *r, uint64_t salt)
{
    put32(out, RECORD_MAGIC);
    put32(out + 4, r->type);
    put64(out + 8, salt);
    put32(out + 16, r->meta_size);
    put32(out + 20, r->meta_crc);
    put64(out + 24, r->data_size);
    put32(out + 32, r->data_crc);
    put32(out + 36, crc32c(0, out, 36));
}

bool record_header_read(struct span in, uint64_t salt, struct record *r)
{
    if (in.n < RECORD_HEADER || get32(in.p) != RECORD_MAGIC || get64(in.p + 8) != salt ||
        get32(in.p + 36) != crc32c(0, in.p, 36))
        return false;
    uint32_t type = get32(in.p + 4);
    *r = (struct record){
        .type = (enum record_type)type,
        .meta_size = get32(in.p + 16),
        .meta_crc = get32(in.p + 20),
        .data_size = get64(in.p + 24),
        .data_crc = get32(in.p + 32),
    };
    return type >= RECORD_MESSAGE && type <= RECORD_SEAL && r->meta_size <= RECORD_META_MAX &&
           r->data_size <= RECORD_DATA_MAX;
}

uint64_t record_size(const struct record *r)
{
    return (RECORD_HEADER + (uint64_t)r->meta_size + r->data_size + 7) & ~(uint64_t)7;
}

static void state_encode(struct buf *b, const struct queue_rcpt *r)
{
    buf_u8(b, (uint8_t)r->state);
    buf_u8(b, r->warned);
    buf_u32(b, r->tries);
    buf_u64(b, (uint64_t)r->next);
    buf_u64(b, (uint64_t)r->last);
    buf_lstr(b, span_str(r->reason));
}

static char *reason_in(struct arena *a, struct span s)
{
    return s.p ? arena_cstr(a, s) : NULL;
}

static void state_decode(struct cursor *c, struct arena *a, struct queue_rcpt *r)
{
    uint8_t state = cursor_u8(c);
    if (state > Q_DELETED)
        c->failed = true;
    r->state = c->failed ? Q_WAITING : (enum queue_state)state;
    r->warned = cursor_u8(c);
    r->tries = cursor_u32(c);
    r->next = (usec)cursor_u64(c);
    r->last = (usec)cursor_u64(c);
    r->reason = reason_in(a, cursor_lstr(c));
}

void record_meta_encode(struct buf *b, const struct queue_meta *meta, const struct queue_msg *m)
{
    buf_u8(b, META_VERSION);
    buf_lstr(b, span_str(meta->id));
    buf_u32(b, m ? m->flags : meta->flags);
    buf_u64(b, (uint64_t)meta->created);
    buf_u32(b, m ? m->scans : 0);
    envelope_encode(b, &meta->env);
    peer_encode(b, &meta->peer);
    buf_u8(b, m != NULL);
    for (uint32_t i = 0; m && i < m->nrcpts; i++)
        state_encode(b, &m->rcpts[i]);
    if (meta->known.n)
        buf_lstr(b, meta->known);
}

bool record_meta_decode(struct span in, struct arena *a, struct queue_meta *meta,
                        struct queue_rcpt **states)
{
    struct cursor c = cursor_over(in);
    if (cursor_u8(&c) != META_VERSION)
        return false;
    struct span id = cursor_lstr(&c);
    if (!queue_id_valid(id))
        return false;
    *meta = (struct queue_meta){0};
    memcpy(meta->id, id.p, id.n);
    meta->flags = cursor_u32(&c);
    meta->created = (usec)cursor_u64(&c);
    cursor_u32(&c); /* scans: only of interest while the process lives */
    envelope_decode(&c, a, &meta->env);
    peer_decode(&c, a, &meta->peer);
    bool stated = cursor_u8(&c);
    if (c.failed)
        return false;
    struct queue_rcpt *r = arena_array(a, meta->env.nrcpts + 1, sizeof *r);
    for (size_t i = 0; i < meta->env.nrcpts; i++) {
        r[i].addr = meta->env.rcpts[i].addr;
        r[i].notify = meta->env.rcpts[i].notify;
        if (stated)
            state_decode(&c, a, &r[i]);
    }
    if (c.rest.n) { /* older ones end here */
        struct span known = cursor_lstr(&c);
        meta->known = known.p ? arena_dup(a, known) : SPAN_NONE;
    }
    if (states)
        *states = r;
    return cursor_ok(&c);
}

void record_change_encode(struct buf *b, struct span id, const uint32_t *rcpts, size_t n,
                          const struct queue_change *c)
{
    buf_lstr(b, id);
    buf_u32(b, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        buf_u32(b, rcpts[i]);
    if (n == 0)
        return;
    buf_u8(b, (uint8_t)c->state);
    buf_u8(b, c->warned);
    buf_u32(b, c->tries);
    buf_u64(b, (uint64_t)c->next);
    buf_u64(b, (uint64_t)c->last);
    buf_lstr(b, c->reason);
}

bool record_change_decode(struct cursor *in, struct arena *a, struct record_change *out)
{
    if (in->failed || in->rest.n == 0)
        return false;
    *out = (struct record_change){.id = cursor_lstr(in)};
    uint32_t n = cursor_u32(in);
    if (in->failed || n > in->rest.n / 4) {
        in->failed = true;
        return false;
    }
    if (n == 0)
        return true;
    out->rcpts = arena_array(a, n, sizeof *out->rcpts);
    out->n = n;
    for (uint32_t i = 0; i < n; i++)
        out->rcpts[i] = cursor_u32(in);
    struct queue_rcpt r;
    uint8_t state = cursor_u8(in);
    if (state > Q_DELETED)
        in->failed = true;
    r.state = (enum queue_state)state;
    r.warned = cursor_u8(in);
    r.tries = cursor_u32(in);
    r.next = (usec)cursor_u64(in);
    r.last = (usec)cursor_u64(in);
    out->c = (struct queue_change){r.state, r.next, r.last, r.tries, r.warned, cursor_lstr(in)};
    return !in->failed;
}

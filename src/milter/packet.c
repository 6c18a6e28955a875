#include "milter/packet.h"

enum { LENGTH = 4, HEAD = LENGTH + 1 };

uint32_t milter_u32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

void milter_add_u32(struct buf *b, uint32_t v)
{
    char p[4] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v};
    buf_add(b, span_of(p, sizeof p));
}

bool milter_string(struct span *data, struct span *out)
{
    if (data->n == 0)
        return false;
    size_t n = span_find(*data, '\0');
    *out = span_sub(*data, 0, n);
    *data = n == SIZE_MAX ? span_from(*data, data->n) : span_from(*data, n + 1);
    return true;
}

void milter_packet(struct buf *b, char cmd, struct span data)
{
    milter_add_u32(b, (uint32_t)data.n + 1);
    buf_char(b, cmd);
    buf_add(b, data);
}

static bool length_ok(const struct milter_reader *r)
{
    uint32_t n = milter_u32((const char *)r->head);
    return n > 0 && n <= MILTER_PACKET_MAX;
}

/* MILTER_PACKET: length and command are there. */
static enum milter_read read_head(struct milter_reader *r, struct span *in)
{
    while (r->nhead < HEAD && in->n > 0) {
        r->head[r->nhead++] = (unsigned char)in->p[0];
        *in = span_from(*in, 1);
        if (r->nhead == LENGTH && !length_ok(r))
            return MILTER_BAD;
    }
    return r->nhead == HEAD ? MILTER_PACKET : MILTER_MORE;
}

static struct span take(struct milter_reader *r, struct span *in)
{
    struct span s = span_sub(*in, 0, r->left);
    *in = span_from(*in, s.n);
    r->left -= (uint32_t)s.n;
    return s;
}

static enum milter_read read_data(struct milter_reader *r, struct span *in, struct span *data)
{
    if (r->head[4] == MILTER_BODY) {
        if (in->n == 0 && r->left > 0)
            return MILTER_MORE;
        *data = take(r, in);
        if (r->left == 0)
            r->nhead = 0;
        return MILTER_PIECE;
    }
    struct span s = take(r, in);
    if (r->left > 0 || r->hold.n > 0)
        buf_add(&r->hold, s);
    if (r->left > 0)
        return MILTER_MORE;
    *data = r->hold.n > 0 ? buf_span(&r->hold) : s;
    r->given = true;
    r->nhead = 0;
    return MILTER_PACKET;
}

enum milter_read milter_read(struct milter_reader *r, struct span *in, unsigned char *cmd,
                             struct span *data)
{
    if (r->given)
        buf_free(&r->hold);
    r->given = false;
    if (r->nhead < HEAD) {
        enum milter_read st = read_head(r, in);
        if (st != MILTER_PACKET)
            return st;
        r->left = milter_u32((const char *)r->head) - 1;
    }
    *cmd = r->head[4];
    return read_data(r, in, data);
}

void milter_reader_free(struct milter_reader *r)
{
    buf_free(&r->hold);
}

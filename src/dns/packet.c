/* The answer in a packet (RFC 1035 section 4): the records of the type that was asked for, behind
 * the aliases that lead to them. libunbound has checked and encoded it; it is read like any other.
 */
#include "dns/dns_private.h"

enum { HEADER = 12, WIRE_MAX = 255, JUMPS_MAX = 128 };

struct packet {
    const unsigned char *p;
    size_t n, at;
    bool failed;
};

/* A name in wire form, not compressed, lower case. */
struct name {
    unsigned char p[WIRE_MAX + 1];
    size_t n;
};

static unsigned get16(struct packet *k)
{
    if (k->failed || k->n - k->at < 2) {
        k->failed = true;
        return 0;
    }
    k->at += 2;
    return (unsigned)k->p[k->at - 2] << 8 | k->p[k->at - 1];
}

/* Section 4.1.4: pointers lead backwards. */
static void get_name(struct packet *k, struct name *out)
{
    size_t at = k->at, behind = 0;
    out->n = 0;
    for (int jumps = 0; !k->failed;) {
        unsigned len = at < k->n ? k->p[at] : 0xffff;
        if ((len & 0xc0) == 0xc0 && len <= 0xff && at + 1 < k->n && jumps++ < JUMPS_MAX) {
            size_t to = (len & 0x3f) << 8 | k->p[at + 1];
            behind = behind ? behind : at + 2;
            k->failed = to >= at;
            at = to;
            continue;
        }
        if (len > 63 || at + len + 1 > k->n || out->n + len + 1 > WIRE_MAX) {
            k->failed = true;
            break;
        }
        out->p[out->n++] = (unsigned char)len;
        for (size_t i = 1; i <= len; i++)
            out->p[out->n++] = (unsigned char)ascii_lower((char)k->p[at + i]);
        at += len + 1;
        if (!len) {
            k->at = behind ? behind : at;
            break;
        }
    }
}

static bool same(const struct name *x, const struct name *y)
{
    return x->n == y->n && memcmp(x->p, y->p, x->n) == 0;
}

struct record {
    struct name owner;
    unsigned type, class;
    uint32_t ttl;
    size_t at, n; /* of the rdata */
};

static bool get_record(struct packet *k, struct record *r)
{
    get_name(k, &r->owner);
    r->type = get16(k);
    r->class = get16(k);
    r->ttl = (uint32_t)get16(k) << 16;
    r->ttl |= get16(k);
    r->n = get16(k);
    r->at = k->at;
    if (k->failed || k->n - k->at < r->n)
        return false;
    k->at += r->n;
    return true;
}

static void add_name(struct packet *k, struct buf *out)
{
    struct name n;
    get_name(k, &n);
    buf_add(out, span_of((const char *)n.p, n.n));
}

static void add_bytes(struct packet *k, size_t n, struct buf *out)
{
    if (k->failed || k->n - k->at < n) {
        k->failed = true;
        return;
    }
    buf_add(out, span_of((const char *)k->p + k->at, n));
    k->at += n;
}

/* Rdata with the names in it written out. false: it does not end where it should. */
static bool add_rdata(const struct packet *whole, const struct record *r, struct buf *out)
{
    struct packet k = *whole;
    k.at = r->at;
    switch (r->type) {
    case DNS_NS:
    case DNS_CNAME:
    case DNS_PTR:
        add_name(&k, out);
        break;
    case DNS_MX_RR:
        add_bytes(&k, 2, out);
        add_name(&k, out);
        break;
    case DNS_SOA:
        add_name(&k, out);
        add_name(&k, out);
        add_bytes(&k, 20, out);
        break;
    default:
        add_bytes(&k, r->n, out);
    }
    return !k.failed && k.at == r->at + r->n;
}

/* Takes the record when it belongs to the answer. */
static void take(const struct packet *k, const struct record *r, unsigned type, struct name *want,
                 struct dns_result *out)
{
    if (r->class != 1 || !same(&r->owner, want))
        return;
    if (r->type == type) {
        size_t from = out->bytes.n;
        out->havedata = true;
        out->ttl = out->n == 0 || r->ttl < out->ttl ? r->ttl : out->ttl;
        if (out->n == DNS_ANSWERS_MAX || !add_rdata(k, r, &out->bytes))
            out->bytes.n = from;
        else
            out->ends[out->n++] = out->bytes.n;
    } else if (r->type == DNS_CNAME) {
        struct packet alias = *k;
        alias.at = r->at;
        get_name(&alias, want);
        size_t used;
        if (alias.failed || !dns_name_decode(want->p, want->n, out->canonical, &used))
            out->canonical[0] = '\0';
    }
}

bool dns_packet_read(struct span bytes, int type, struct dns_result *out)
{
    struct packet k = {(const unsigned char *)bytes.p, bytes.n, 2, false};
    struct name want;
    struct record r;
    if (bytes.n < HEADER)
        return false;
    out->rcode = (int)(get16(&k) & 15);
    unsigned questions = get16(&k), answers = get16(&k);
    k.at = HEADER;
    if (questions != 1)
        return false;
    get_name(&k, &want);
    get16(&k);
    get16(&k);
    for (unsigned i = 0; i < answers && get_record(&k, &r); i++)
        take(&k, &r, (unsigned)type, &want, out);
    return !k.failed;
}

size_t dns_result_records(const struct dns_result *r, struct span v[DNS_ANSWERS_MAX])
{
    size_t from = 0;
    for (size_t i = 0; i < r->n; from = r->ends[i++])
        v[i] = span_of(r->bytes.p + from, r->ends[i] - from);
    return r->n;
}

#include "reputation/txrep.h"

#include <math.h>
#include <stdio.h>

#include "base/cursor.h"

const struct txrep_weights txrep_defaults = {
    .email_ip = 10, .email = 3, .domain = 2, .ip = 4, .helo = 0.5, .factor = 0.5};

static const usec kept = (usec)365 * 86400 * USEC_PER_SEC;

struct entry {
    uint64_t count;
    double total;
};

/* ---- keys ---- */

/* The first two octets, or a /48 with its zero tail cut. */
static void add_network(struct buf *b, const struct ip *ip)
{
    if (ip_is4(ip)) {
        buf_printf(b, "%u.%u", ip->b[12], ip->b[13]);
        return;
    }
    unsigned groups = 3;
    while (groups > 1 && !ip->b[2 * groups - 2] && !ip->b[2 * groups - 1])
        groups--;
    for (unsigned i = 0; i < groups; i++)
        buf_printf(b, "%s%02x%02x", i ? ":" : "", ip->b[2 * i], ip->b[2 * i + 1]);
    buf_str(b, "::");
}

/* "addr|ip=192.0", lower case. */
static void make_key(struct buf *b, struct span addr, const struct ip *ip)
{
    for (size_t i = 0; i < addr.n; i++) {
        char c = addr.p[i];
        buf_char(b, c == '\0' || strchr(";'\"!|", c) ? '_'
                    : c >= 'A' && c <= 'Z'           ? (char)(c | 0x20)
                                                     : c);
    }
    buf_str(b, "|ip=");
    if (ip)
        add_network(b, ip);
    else
        buf_str(b, "none");
}

/* ---- one entry ---- */

static struct entry read_entry(struct span v)
{
    struct cursor c = cursor_over(v);
    struct entry e = {.count = cursor_u64(&c)};
    e.total = cursor_f64(&c);
    if (!v.p || !cursor_ok(&c) || !isfinite(e.total))
        e = (struct entry){0};
    return e;
}

struct step {
    struct entry was;
    const struct entry *adopt; /* instead of an entry that does not exist */
    double score;
    bool add;
    usec now;
};

static enum kv_change take_step(void *ctx, struct span old, struct buf *fresh, usec *until)
{
    struct step *s = ctx;
    s->was = read_entry(old);
    if (s->was.count == 0 && s->adopt)
        s->was = *s->adopt;
    if (!s->add)
        return KV_KEEP;
    buf_u64(fresh, s->was.count + 1);
    buf_f64(fresh, s->was.total + s->score);
    *until = s->now + kept;
    return KV_WRITE;
}

static bool step_entry(struct kv *kv, struct span addr, const struct ip *ip, struct step *s)
{
    struct buf key = {0};
    make_key(&key, addr, ip);
    bool done = kv_update(kv, KV_TXREP, buf_span(&key), s->now, take_step, s) == KV_OK;
    buf_free(&key);
    return done;
}

/* ---- TxRep ---- */

struct txrep {
    struct kv *kv;
    double score, sum, weights;
    usec now;
};

/* Where the average would pull in the other direction than the sign of both, the message itself is
 * left out of it. */
static double pull(const struct entry *e, double score)
{
    double n = 1 + (double)e->count, d = (e->total + score) / n - score;
    bool wrong = (e->total > 0 && score > 0 && d < 0) || (e->total < 0 && score < 0 && d > 0);
    return wrong ? e->total / n : d;
}

static void consider(struct txrep *t, double weight, struct span addr, const struct ip *ip)
{
    struct step s = {.score = t->score, .add = true, .now = t->now};
    if (weight == 0 || !step_entry(t->kv, addr, ip, &s))
        return;
    t->weights += weight;
    t->sum += weight * pull(&s.was, t->score);
}

static enum kv_change take_welcome(void *ctx, struct span old, struct buf *fresh, usec *until)
{
    const struct step *s = ctx;
    (void)old;
    buf_u64(fresh, 1);
    buf_f64(fresh, s->score);
    *until = s->now + kept;
    return KV_WRITE;
}

static void welcome(struct kv *kv, const struct txrep_query *q, usec now)
{
    struct step s = {.score = -q->welcome, .now = now};
    for (size_t i = 0; i < q->nrecipients && i < TXREP_RECIPIENTS; i++) {
        struct buf key = {0};
        make_key(&key, q->recipients[i], NULL);
        kv_update(kv, KV_TXREP, buf_span(&key), now, take_welcome, &s);
        buf_free(&key);
    }
}

double txrep_adjust(struct kv *kv, const struct txrep_weights *w, const struct txrep_query *q,
                    double score, usec now)
{
    struct txrep t = {.kv = kv, .score = score, .now = now};
    struct step seen = {.now = now};
    char text[IP_TEXT_SIZE];
    if (q->msgid.n && step_entry(kv, q->msgid, NULL, &seen) && seen.was.count > 0) {
        double mean = seen.was.total / (double)seen.was.count;
        return (score + w->factor * mean) / (1 + w->factor) - score;
    }
    if (q->welcome > 0)
        welcome(kv, q, now);
    const struct ip *ip = q->has_origin && !q->signed_by ? &q->origin : NULL;
    consider(&t, w->email_ip, q->from, ip);
    if (q->domain.n)
        consider(&t, w->domain, q->domain, ip);
    if (q->helo.n)
        consider(&t, w->helo, q->helo, NULL);
    if (q->has_origin && !q->signed_by)
        consider(&t, w->email, q->from, NULL);
    if (q->has_origin)
        consider(&t, w->ip, span_str(ip_text(&q->origin, text)), NULL);
    double delta = t.weights > 0 ? w->factor * t.sum / t.weights : 0;
    if (q->msgid.n) {
        seen = (struct step){.score = score + delta, .add = true, .now = now};
        step_entry(kv, q->msgid, NULL, &seen);
    }
    return delta;
}

/* ---- AWL ---- */

struct awl_result awl_adjust(struct kv *kv, double factor, struct span from,
                             const struct ip *origin, double score, usec now)
{
    struct step look = {.now = now};
    struct step add = {.score = score, .add = true, .now = now};
    /* An entry without a network belongs to the first network that is seen. */
    if (origin && step_entry(kv, from, NULL, &look) && look.was.count > 0) {
        struct step mine = {.now = now};
        if (step_entry(kv, from, origin, &mine) && mine.was.count == 0) {
            struct buf key = {0};
            make_key(&key, from, NULL);
            kv_delete(kv, KV_TXREP, buf_span(&key));
            buf_free(&key);
            add.adopt = &look.was;
        }
    }
    struct awl_result r = {0};
    if (!step_entry(kv, from, origin, &add) || add.was.count == 0)
        return r;
    r.known = true;
    r.count = add.was.count;
    r.mean = add.was.total / (double)add.was.count;
    r.delta = (r.mean - score) * factor;
    return r;
}

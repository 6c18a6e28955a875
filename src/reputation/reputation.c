#include "reputation/reputation.h"

#include <math.h>
#include <stdio.h>

#include "base/cursor.h"

/* Kept until less than this is left of a single message. */
static const double least = 0.05;
/* How many messages of doubt are added: one message alone says little. */
static const double doubt = 2;

struct weighed {
    double good, bad;
};

static void make_key(struct buf *b, enum reputation_kind kind, struct span key)
{
    buf_u8(b, (uint8_t)kind);
    for (size_t i = 0; i < key.n; i++) {
        bool upper = kind >= REP_DOMAIN && key.p[i] >= 'A' && key.p[i] <= 'Z';
        buf_char(b, upper ? (char)(key.p[i] | 0x20) : key.p[i]);
    }
}

static bool read_weights(struct span v, const struct reputation_settings *set, usec now,
                         struct weighed *w)
{
    struct cursor c = cursor_over(v);
    w->good = cursor_f64(&c);
    w->bad = cursor_f64(&c);
    usec at = (usec)cursor_u64(&c);
    if (!cursor_ok(&c) || !isfinite(w->good) || !isfinite(w->bad) || w->good < 0 || w->bad < 0)
        return false;
    double age = now > at ? (double)(now - at) : 0;
    double left = exp2(-age / (double)set->half_life);
    w->good *= left;
    w->bad *= left;
    return true;
}

bool reputation_get(struct kv *kv, const struct reputation_settings *set, enum reputation_kind kind,
                    struct span key, usec now, struct reputation *out)
{
    struct buf k = {0}, v = {0};
    struct weighed w;
    make_key(&k, kind, key);
    bool known = kv_get(kv, KV_REPUTATION, buf_span(&k), now, &v) == KV_OK &&
                 read_weights(buf_span(&v), set, now, &w);
    if (known) {
        out->messages = w.good + w.bad;
        out->score = (w.bad - w.good) / (w.bad + w.good + doubt);
    }
    buf_free(&k);
    buf_free(&v);
    return known;
}

struct lesson {
    const struct reputation_settings *set;
    usec now;
    bool bad;
};

static enum kv_change learn(void *ctx, struct span old, struct buf *fresh, usec *until)
{
    struct lesson *l = ctx;
    struct weighed w = {0, 0};
    if (!old.p || !read_weights(old, l->set, l->now, &w))
        w = (struct weighed){0, 0};
    *(l->bad ? &w.bad : &w.good) += 1;
    buf_f64(fresh, w.good);
    buf_f64(fresh, w.bad);
    buf_u64(fresh, (uint64_t)l->now);
    double lives = log2((w.good + w.bad) / least) * (double)l->set->half_life;
    *until = l->now + (usec)fmin(lives, 10 * 365 * 86400e6);
    return KV_WRITE;
}

void reputation_learn(struct kv *kv, const struct reputation_settings *set,
                      enum reputation_kind kind, struct span key, bool bad, usec now)
{
    struct lesson l = {set, now, bad};
    struct buf k = {0};
    make_key(&k, kind, key);
    kv_update(kv, KV_REPUTATION, buf_span(&k), now, learn, &l);
    buf_free(&k);
}

const char *reputation_kind_name(enum reputation_kind k)
{
    static const char *const names[] = {"address", "network", "asn", "domain", "dkim"};
    return names[k];
}

char *reputation_text(const struct reputation *r, char out[REPUTATION_TEXT_SIZE])
{
    snprintf(out, REPUTATION_TEXT_SIZE, "%.2f (%.0f messages)", r->score, r->messages);
    return out;
}

struct ip reputation_address(enum reputation_kind kind, const struct ip *ip)
{
    struct ip out = *ip;
    if (kind == REP_NETWORK && ip_is4(ip))
        out.b[15] = 0;
    else if (!ip_is4(ip)) /* a customer has a /64, and all its addresses */
        memset(out.b + 8, 0, 8);
    return out;
}

#include "greylist/greylist.h"

#include "base/cursor.h"

/* ---- keys ---- */

static void add_lower(struct buf *b, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_char(b, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i]);
}

/* Length first: no choice of names makes two triples the same. */
static void add_part(struct buf *b, struct span s)
{
    buf_u32(b, (uint32_t)s.n);
    add_lower(b, s);
}

static void add_client(struct buf *b, const struct greylist_settings *set,
                       const struct grey_query *q)
{
    if (set->spf && q->spf_domain.n) {
        buf_char(b, 'd');
        add_part(b, q->spf_domain);
        return;
    }
    struct ip net = q->ip;
    uint64_t bits = ip_is4(&net) ? 96 + set->ipv4_bits : set->ipv6_bits;
    for (size_t i = 0; i < sizeof net.b; i++) {
        uint64_t kept = bits > i * 8 ? bits - i * 8 : 0;
        if (kept < 8)
            net.b[i] = (unsigned char)(net.b[i] & (0xff00 >> kept));
    }
    buf_char(b, 'n');
    buf_add(b, span_of((const char *)net.b, sizeof net.b));
}

/* Behind `n` signs '='; 0: there are fewer. */
static size_t behind_signs(struct span s, size_t from, int n)
{
    for (; n > 0; n--) {
        size_t at = span_find(span_from(s, from), '=');
        if (at == SIZE_MAX)
            return 0;
        from += at + 1;
    }
    return from;
}

/* Senders that were signed (BATV: prvs=TAG=, btv1==TAG==) or rewritten (SRS0=HASH=DAY=, SRS1=HASH=)
 * have another tag every day. */
static struct span without_tag(struct span s)
{
    size_t from = 0;
    if (span_istarts(s, SPAN("prvs=")))
        from = behind_signs(s, 5, 1);
    else if (span_istarts(s, SPAN("btv1==")))
        from = behind_signs(s, 6, 2);
    else if (span_istarts(s, SPAN("SRS0=")) || span_istarts(s, SPAN("SRS0+")))
        from = behind_signs(s, 5, 2);
    else if (span_istarts(s, SPAN("SRS1=")) || span_istarts(s, SPAN("SRS1+")))
        from = behind_signs(s, 5, 1);
    return from < span_rfind(s, '@') ? span_from(s, from) : s;
}

/* "list+bounce-4711=user@x" and "list+bounce-4712=user@x" are one sender. */
static void add_sender(struct buf *b, struct span s)
{
    struct buf plain = {0};
    s = without_tag(s);
    size_t at = span_rfind(s, '@'), plus = span_find(s, '+');
    if (at == SIZE_MAX)
        at = s.n;
    size_t local = plus < at && plus > 0 ? plus : at;
    for (size_t i = 0; i < s.n; i++) {
        bool digit = s.p[i] >= '0' && s.p[i] <= '9';
        if (i >= local && i < at)
            continue;
        if (!digit || i >= at)
            buf_char(&plain, s.p[i]);
        else if (plain.n == 0 || plain.p[plain.n - 1] != '#')
            buf_char(&plain, '#');
    }
    add_part(b, buf_span(&plain));
    buf_free(&plain);
}

static void triple_key(struct buf *b, const struct greylist_settings *set,
                       const struct grey_query *q)
{
    buf_char(b, 'T');
    add_client(b, set, q);
    add_sender(b, q->sender);
    add_part(b, q->rcpt);
    if (set->helo)
        add_part(b, q->helo);
}

/* ---- the triple ---- */

struct step {
    const struct greylist_settings *set;
    usec now;
    struct grey_result result;
};

static enum kv_change pass(struct step *s, usec first, struct buf *fresh, usec *until)
{
    buf_u64(fresh, (uint64_t)first);
    buf_u8(fresh, 1);
    *until = s->now + s->set->pass_time;
    return KV_WRITE;
}

static enum kv_change look(void *ctx, struct span old, struct buf *fresh, usec *until)
{
    struct step *s = ctx;
    struct cursor c = cursor_over(old);
    usec first = (usec)cursor_u64(&c);
    bool passed = cursor_u8(&c);
    if (!old.p || !cursor_ok(&c) || first > s->now) {
        s->result = (struct grey_result){.answer = GREY_FIRST, .wait = s->set->delay};
        buf_u64(fresh, (uint64_t)s->now);
        buf_u8(fresh, 0);
        *until = s->now + s->set->retry_window;
        return KV_WRITE;
    }
    if (passed) {
        s->result.answer = GREY_KNOWN;
        /* Not each mail is a write: the end moves when half of the time is over. */
        return *until - s->now > s->set->pass_time / 2 ? KV_KEEP : pass(s, first, fresh, until);
    }
    if (s->now - first < s->set->delay) {
        s->result =
            (struct grey_result){.answer = GREY_EARLY, .wait = first + s->set->delay - s->now};
        return KV_KEEP;
    }
    s->result = (struct grey_result){.answer = GREY_AGAIN, .waited = s->now - first};
    return pass(s, first, fresh, until);
}

/* ---- the client ---- */

static enum kv_change prove(void *ctx, struct span old, struct buf *fresh, usec *until)
{
    struct step *s = ctx;
    struct cursor c = cursor_over(old);
    uint32_t n = old.p ? cursor_u32(&c) : 0;
    buf_u32(fresh, n < UINT32_MAX ? n + 1 : n);
    *until = s->now + s->set->pass_time;
    return KV_WRITE;
}

static bool proven(struct kv *kv, const struct greylist_settings *set, struct span client, usec now)
{
    struct buf v = {0};
    bool yes = false;
    if (set->auto_pass > 0 && kv_get(kv, KV_GREYLIST, client, now, &v) == KV_OK) {
        struct cursor c = cursor_over(buf_span(&v));
        yes = cursor_u32(&c) >= set->auto_pass;
    }
    buf_free(&v);
    return yes;
}

struct grey_result greylist_ask(struct kv *kv, const struct greylist_settings *set,
                                const struct grey_query *q, usec now)
{
    struct step s = {.set = set, .now = now};
    struct buf client = {0}, triple = {0};
    buf_char(&client, 'C');
    add_client(&client, set, q);
    if (proven(kv, set, buf_span(&client), now)) {
        s.result.answer = GREY_PROVEN;
    } else {
        triple_key(&triple, set, q);
        enum kv_status st = kv_update(kv, KV_GREYLIST, buf_span(&triple), now, look, &s);
        if (st != KV_OK)
            s.result = (struct grey_result){.answer = GREY_BLIND};
        else if (s.result.answer == GREY_AGAIN)
            kv_update(kv, KV_GREYLIST, buf_span(&client), now, prove, &s);
    }
    buf_free(&client);
    buf_free(&triple);
    return s.result;
}

const char *grey_answer_name(enum grey_answer a)
{
    static const char *const names[] = {"first", "early", "again", "known", "proven", "blind"};
    return names[a];
}

#include "reports/item.h"

enum item { ITEM_SAW = 1, ITEM_SAW_TLS, ITEM_PUT, ITEM_PUT_TLS };

/* Each item is a length-prefixed string, so that one that is broken takes no other with it. */
static void add(struct buf *b, enum item kind, const struct report_origin *o,
                const struct agg_report *agg, const struct tls_report *tls)
{
    struct buf one = {0};
    buf_u8(&one, (uint8_t)kind);
    if (o) {
        buf_u64(&one, (uint64_t)o->at);
        buf_lstr(&one, o->sender);
        buf_u8(&one, o->verified);
    }
    if (agg)
        agg_encode(&one, agg);
    else
        tls_encode(&one, tls);
    buf_lstr(b, buf_span(&one));
    buf_free(&one);
}

void item_saw(struct buf *b, const struct agg_report *r)
{
    add(b, ITEM_SAW, NULL, r, NULL);
}

void item_saw_tls(struct buf *b, const struct tls_report *r)
{
    add(b, ITEM_SAW_TLS, NULL, NULL, r);
}

void item_put(struct buf *b, const struct agg_report *r, const struct report_origin *o)
{
    add(b, ITEM_PUT, o, r, NULL);
}

void item_put_tls(struct buf *b, const struct tls_report *r, const struct report_origin *o)
{
    add(b, ITEM_PUT_TLS, o, NULL, r);
}

static enum report_stored apply(struct report_store *s, struct cursor *c, struct arena *a,
                                struct items_done *done, bool *readable, struct err *e)
{
    struct agg_report agg = {0};
    struct tls_report tls = {0};
    struct report_origin o = {0};
    enum item kind = (enum item)cursor_u8(c);
    bool tls_kind = kind == ITEM_SAW_TLS || kind == ITEM_PUT_TLS;
    bool put = kind == ITEM_PUT || kind == ITEM_PUT_TLS;
    if (put) {
        o.at = (usec)cursor_u64(c);
        o.sender = agg_clean(a, cursor_lstr(c));
        o.verified = cursor_u8(c) != 0;
    }
    bool decoded = tls_kind ? tls_decode(c, a, &tls) : agg_decode(c, a, &agg);
    *readable =
        decoded && cursor_ok(c) && kind >= ITEM_SAW && kind <= ITEM_PUT_TLS && (!tls_kind || tls.n);
    if (!*readable)
        return REPORT_STORED;
    if (!put) {
        int result = tls_kind ? report_store_saw_tls(s, &tls, e) : report_store_saw(s, &agg, e);
        return result ? REPORT_FAILED_TO_STORE : REPORT_STORED;
    }
    enum report_stored result =
        tls_kind ? report_store_put_tls(s, &tls, &o, e) : report_store_put(s, &agg, &o, e);
    if (result != REPORT_FAILED_TO_STORE && done->told)
        done->told(done->ctx, result, tls_kind ? tls.org : agg.org, tls_kind ? tls.id : agg.id,
                   tls_kind ? tls.policies[0].domain : agg.policy.domain, &o);
    return result;
}

int items_apply(struct report_store *s, struct span blob, struct items_done *done, struct err *e)
{
    struct cursor all = cursor_over(blob);
    struct arena *a = arena_new(0);
    int result = 0;
    while (result == 0 && all.rest.n && !all.failed) {
        struct span one = cursor_lstr(&all);
        struct cursor c = cursor_over(one);
        bool readable;
        arena_reset(a);
        enum report_stored what = apply(s, &c, a, done, &readable, e);
        result = what == REPORT_FAILED_TO_STORE ? -1 : 0;
        done->unreadable += !readable;
        done->refused += what == REPORT_DUPLICATE || what == REPORT_NO_ROOM;
        done->stored += readable && what == REPORT_STORED;
    }
    done->unreadable += all.failed;
    arena_free(a);
    return result;
}

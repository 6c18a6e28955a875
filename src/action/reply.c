#include "action/action_private.h"
#include "action/tags.h"

enum { DETAIL_MAX = 100, ORDER_MAX = 370, SENDER_DETAIL_MAX = 280 };

/* What the policy's author wants to be said. */
static void add_order(struct buf *b, const struct message *m, const struct decision *d,
                      struct arena *a)
{
    const struct tags_on on = {NULL, m, d, d->policy, NULL};
    add_plain_lines(b, tags_expand(&on, span_str(d->order->text), a), ORDER_MAX);
}

/* RFC 7372: enhanced status codes of sender authentication. The sender's own postmaster has to
 * understand what is wrong, so the reason is told. */
static const struct {
    const char *reason, *text;
} sender_texts[] = {
    {"DMARC", "550 5.7.26 Refused by DMARC: "},
    {"SPF", "550 5.7.23 Refused by SPF: "},
    {"From field", "550 5.7.1 Refused, it can't be told who the author is: "},
};

static bool add_sender(struct buf *b, const struct decision *d)
{
    for (size_t i = 0; i < sizeof sender_texts / sizeof *sender_texts; i++)
        if (strcmp(d->reason, sender_texts[i].reason) == 0) {
            buf_str(b, sender_texts[i].text);
            add_plain(b, d->detail, SENDER_DETAIL_MAX);
            return true;
        }
    return false;
}

/* What strangers may know: the class of the reason and the id under which the postmaster finds the
 * rest. Which engine is down and which rules hit stays inside. */
struct span action_reply(const struct message *m, const struct decision *d, struct arena *a)
{
    struct buf b = {0};
    switch (d->outcome) {
    case OUT_REJECT:
        if (d->order) {
            add_order(&b, m, d, a);
        } else if (strcmp(d->reason, "virus") == 0) {
            buf_str(&b, "550 5.7.1 Refused, this message carries a virus: ");
            add_plain(&b, d->detail, DETAIL_MAX);
        } else if (!add_sender(&b, d)) {
            buf_str(&b, "550 5.7.1 Refused, this message looks like spam");
        }
        buf_printf(&b, " (%s)", m->id);
        break;
    case OUT_DEFER:
        if (d->order)
            add_order(&b, m, d, a);
        else
            buf_str(&b, "451 4.7.1 Not all checks are available now, please try again later");
        buf_printf(&b, " (%s)", m->id);
        break;
    case OUT_ACCEPT:
    case OUT_TAG:
    case OUT_CLEAN:
    case OUT_HOLD:
    case OUT_DISCARD:
        buf_printf(&b, "250 2.0.0 accepted as %s", m->id);
        break;
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

struct span action_early_reply(const struct policy *p, const struct policy_action *x,
                               const struct peer *peer, struct span from, struct span rcpt,
                               struct arena *a)
{
    struct rcpt to = {.addr = rcpt};
    uint32_t index = 0;
    struct message m = {.arena = a, .peer = *peer, .raw = SPAN("")};
    struct decision d = {.policy = p, .rcpts = &index, .nrcpts = rcpt.p ? 1 : 0};
    struct buf b = {0};
    m.env.from = from;
    m.env.rcpts = &to;
    m.env.nrcpts = d.nrcpts;
    const struct tags_on on = {NULL, &m, &d, p, NULL};
    add_plain_lines(&b, tags_expand(&on, span_str(x->text), a), ORDER_MAX);
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

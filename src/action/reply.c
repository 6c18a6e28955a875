#include "action/action_private.h"
#include "action/tags.h"

enum { DETAIL_MAX = 100, ORDER_MAX = 370 };

/* What the policy's author wants to be said. */
static void add_order(struct buf *b, const struct message *m, const struct decision *d,
                      struct arena *a)
{
    const struct tags_on on = {NULL, m, d, d->policy, NULL};
    add_plain(b, tags_expand(&on, span_str(d->order->text), a), ORDER_MAX);
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
        } else {
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

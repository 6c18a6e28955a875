/* Who else gets something: recipients added or put in the place of others, copies, notices. */
#include "action/action.h"
#include "action/tags.h"

#include "mime/compose.h"
#include "mime/header_edit.h"

struct adder {
    struct arena *a;
    struct span *v;
    size_t n, cap;
};

static void add_address(struct adder *to, struct span addr)
{
    for (size_t i = 0; i < to->n; i++)
        if (span_ieq(to->v[i], addr))
            return;
    if (to->n < DELIVERY_ADDRESSES_MAX && addr.n && addr.n <= DELIVERY_ADDRESS_MAX)
        *ARENA_PUSH(to->a, to->v, to->n, to->cap) = addr;
}

static void add_all(struct adder *to, const struct strings *list)
{
    for (size_t i = 0; i < list->n; i++)
        add_address(to, span_str(list->v[i]));
}

static bool gets_it(const struct decision *d)
{
    return d->outcome == OUT_ACCEPT || d->outcome == OUT_TAG || d->outcome == OUT_CLEAN;
}

struct delivery action_delivery(const struct decision *d, struct arena *a)
{
    struct delivery out = {0};
    struct adder add = {.a = a};
    for (size_t i = 0; i < d->napplied; i++) {
        const struct policy_actions *x = &d->applied[i].policy->actions;
        for (size_t k = 0; k < x->n; k++) {
            const struct policy_action *action = &x->v[k];
            out.keep |= action->kind == ACTION_KEEP;
            if (!gets_it(d))
                continue;
            if (action->kind == ACTION_CHANGE_SENDER) {
                out.change_sender = true;
                out.sender = span_str(action->text);
            } else if (action->kind == ACTION_REDIRECT || action->kind == ACTION_ADD_RECIPIENT) {
                out.redirect |= action->kind == ACTION_REDIRECT;
                add_all(&add, &action->to);
            }
        }
    }
    out.add = add.v;
    out.nadd = add.n;
    return out;
}

/* --- notices --- */

static bool tells_of_machines(struct span name)
{
    static const char *const names[] = {"Auto-Submitted", "List-Id", "Precedence",
                                        "List-Unsubscribe", "X-Auto-Response-Suppress"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_ieq(span_trim(name), span_str(names[i])))
            return true;
    return false;
}

/* A sender that can be told without harm: there is one, nobody forged it as far as is known (spam
 * and viruses lie about it), and no machine wrote the message (RFC 3834). */
static bool may_answer(const struct message *m, const struct decision *d)
{
    if (m->env.from.n == 0 || d->spam || m->facts.virus.state == VIRUS_FOUND ||
        m->facts.auth.mailfrom.result == SPF_FAIL || m->facts.auth.dmarc.result == DMARC_FAIL)
        return false;
    struct mime *h = mime_header(m->arena, m->raw, tells_of_machines);
    return h->root->fields.n == 0;
}

static void notice_addresses(struct adder *to, const struct message *m, const struct decision *d,
                             const struct policy_action *x)
{
    for (size_t i = 0; i < x->to.n; i++) {
        struct span word = span_str(x->to.v[i]);
        if (span_eq(word, SPAN("sender"))) {
            if (may_answer(m, d))
                add_address(to, m->env.from);
        } else if (span_eq(word, SPAN("recipients"))) {
            for (size_t k = 0; k < d->nrcpts; k++)
                add_address(to, m->env.rcpts[d->rcpts[k]].addr);
        } else {
            add_address(to, word);
        }
    }
}

static const char notice_subject[] = "Message _ID_: policy _POLICY_";
static const char notice_text[] = "Policy:     _POLICY_\n"
                                  "Outcome:    _OUTCOME_\n"
                                  "Message:    _ID_\n"
                                  "Sender:     _SENDER_\n"
                                  "Recipient:  _RECIPIENT_\n"
                                  "Subject:    _SUBJECT_\n"
                                  "Client:     _CLIENT_\n"
                                  "Spam score: _SCORE_ (_REQD_ required)\n";

static struct span compose_notice(const struct tags_on *on, const struct policy_action *x,
                                  const struct adder *to, struct arena *a)
{
    struct buf b = {0}, list = {0};
    char date[CLOCK_RFC5322_SIZE], id[ID_SIZE];
    for (size_t i = 0; i < to->n; i++)
        buf_printf(&list, "%s<%.*s>", i ? ", " : "", SPAN_ARG(to->v[i]));
    id_new(id);
    compose_structured(&b, "From", span_str(on->set->queue.bounce_from));
    compose_structured(&b, "To", buf_span(&list));
    compose_field(&b, "Subject",
                  tags_expand(on, span_str(x->subject ? x->subject : notice_subject), a));
    buf_printf(&b, "Date: %s\r\n", clock_rfc5322(clock_wall(), date));
    buf_printf(&b, "Message-ID: <%s@%s>\r\n", id, on->set->hostname);
    buf_str(&b, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                "Content-Type: text/plain; charset=utf-8\r\n"
                "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
    compose_qp(&b, tags_expand(on, span_str(x->text ? x->text : notice_text), a));
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    buf_free(&list);
    return out;
}

/* --- all of them --- */

struct mail_list {
    struct arena *a;
    struct mail *v;
    size_t n, cap;
};

static void add_mail(struct mail_list *l, struct mail m)
{
    if (l->n < DELIVERY_MAILS_MAX && m.nto)
        *ARENA_PUSH(l->a, l->v, l->n, l->cap) = m;
}

static void of_action(struct mail_list *l, struct adder *copies, const struct tags_on *on,
                      const struct policy_action *x)
{
    if (x->kind == ACTION_COPY && on->d->outcome != OUT_REJECT && on->d->outcome != OUT_DEFER &&
        on->d->outcome != OUT_DISCARD) {
        add_all(copies, &x->to);
    } else if (x->kind == ACTION_NOTIFY && on->d->outcome != OUT_DEFER) {
        struct adder to = {.a = l->a};
        notice_addresses(&to, on->m, on->d, x);
        if (to.n)
            add_mail(l, (struct mail){SPAN(""), to.v, to.n, compose_notice(on, x, &to, l->a)});
    }
}

static bool any_deferred(const struct verdict *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->v[i].outcome == OUT_DEFER)
            return true;
    return false;
}

struct mails action_mails(const struct settings *set, const struct message *m,
                          const struct verdict *v, struct arena *a)
{
    struct mail_list l = {.a = a};
    struct adder copies = {.a = a};
    if (any_deferred(v)) /* it comes again */
        return (struct mails){0};
    for (size_t i = 0; i < v->n; i++) {
        const struct decision *d = &v->v[i];
        for (size_t k = 0; k < d->napplied; k++) {
            const struct policy *p = d->applied[k].policy;
            const struct tags_on on = {set, m, d, p,
                                       d->applied[k].nparts ? d->applied[k].parts[0] : NULL};
            for (size_t j = 0; j < p->actions.n; j++)
                of_action(&l, &copies, &on, &p->actions.v[j]);
        }
    }
    add_mail(&l, (struct mail){SPAN(""), copies.v, copies.n, SPAN_NONE});
    return (struct mails){l.v, l.n};
}

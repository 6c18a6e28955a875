#include "action/action_private.h"
#include "action/header_plan.h"
#include "action/part_plan.h"
#include "action/tags.h"
#include "auth/authres.h"
#include "auth/spf.h"
#include "mime/compose.h"

enum { SIGNATURE_MAX = 200, WHY_MAX = 200 };

/* RFC 8601 section 2.2: [CFWS] authserv-id ...; the id is a token or a quoted string. */
static struct span authserv_id(struct span value)
{
    size_t i = 0, depth = 0;
    for (; i < value.n; i++) {
        if (value.p[i] == '\\' && depth)
            i++;
        else if (value.p[i] == '(')
            depth++;
        else if (value.p[i] == ')' && depth)
            depth--;
        else if (!depth && !ascii_isspace(value.p[i]))
            break;
    }
    struct span rest = span_from(value, i);
    if (rest.n && rest.p[0] == '"') {
        rest = span_from(rest, 1);
        size_t quote = span_find(rest, '"');
        return span_sub(rest, 0, quote);
    }
    for (i = 0; i < rest.n && !ascii_isspace(rest.p[i]) && rest.p[i] != ';' && rest.p[i] != '(';)
        i++;
    return span_sub(rest, 0, i);
}

/* Other readers are less strict about what stands around a name than we are. */
static bool named(struct span field, struct span name)
{
    return span_ieq(span_trim(field), name);
}

static bool ours(struct span name)
{
    name = span_trim(name);
    return span_istarts(name, SPAN("X-Spam-")) || span_istarts(name, SPAN("X-Gatehouse-")) ||
           named(name, SPAN("X-Virus-Status"));
}

static const char *our_authserv_id(const struct settings *set)
{
    const char *own = set->authentication.authserv_id;
    return own && own[0] ? own : set->hostname;
}

/* Header fields that only this gateway may put there. */
static bool forged(const struct settings *set, const struct mime *h, const struct mime_field *f)
{
    if (!named(f->name, SPAN("Authentication-Results")))
        return ours(f->name);
    struct span id = authserv_id(header_value(h, f));
    return span_ieq(id, span_str(set->hostname)) || span_ieq(id, span_str(our_authserv_id(set)));
}

/* RFC 8601 and RFC 7208 section 9.1. */
static void add_authentication(struct buf *b, const struct settings *set, const struct message *m,
                               struct arena *a)
{
    const struct auth_facts *f = &m->facts.auth;
    const struct spf_fact *spf = spf_main(f);
    if (!f->ran)
        return;
    if (set->authentication.results_header)
        authres_write(b, our_authserv_id(set), m);
    if (set->authentication.received_spf && spf->result != SPF_NOT_RUN) {
        struct span v = spf_received(a, spf, spf == &f->helo ? "helo" : "mailfrom", &m->peer.ip,
                                     m->peer.helo, set->hostname);
        buf_printf(b, "Received-SPF: %.*s\n", SPAN_ARG(v));
    }
}

static void add_virus_status(struct buf *b, const struct settings *set, const struct message *m,
                             const struct decision *d)
{
    if (!set->virus.enabled)
        return;
    const struct virus_facts *v = &m->facts.virus;
    buf_str(b, "X-Virus-Status: ");
    const char *why = virus_why_unscanned(v->state);
    if (!d->policy->scan) {
        buf_str(b, "Unscanned (policy ");
        add_plain(b, span_str(d->policy->name), WHY_MAX);
        buf_str(b, " does not scan)");
    } else if (v->state == VIRUS_FOUND) {
        buf_str(b, d->clean ? "Cleaned (" : "Infected (");
        add_plain(b, v->name, SIGNATURE_MAX);
        buf_char(b, ')');
    } else if (why) {
        buf_printf(b, "Unscanned (%s)", why);
    } else {
        buf_str(b, "Clean");
    }
    buf_char(b, '\n');
}

/* What the policies want of the header, in their order. */
static void policy_headers(struct header_plan *p, const struct tags_on *on,
                           const struct policy_actions *actions)
{
    for (size_t i = 0; i < actions->n; i++) {
        const struct policy_action *x = &actions->v[i];
        struct span name = span_str(x->name);
        struct span text = x->text ? tags_expand(on, span_str(x->text), p->arena) : SPAN("");
        switch (x->kind) {
        case ACTION_ADD_HEADER:
            header_plan_add(p, name, text);
            break;
        case ACTION_CHANGE_HEADER:
            header_plan_change(p, name, x->nth, text);
            break;
        case ACTION_DELETE_HEADER:
            header_plan_delete(p, name, x->nth);
            break;
        case ACTION_SUBJECT_PREFIX:
            header_plan_prefix(p, SPAN("Subject"), text);
            break;
        default:
            break;
        }
    }
}

/* What lenient readers take for fields may stand where the parser saw a body: an edit of such a
 * field goes when an edit of a part (one of the first n) takes the place away. */
static void give_way(struct splices *all, size_t n)
{
    size_t kept = n;
    for (size_t i = n; i < all->n; i++) {
        const struct splice *x = &all->v[i];
        bool taken = false;
        for (size_t k = 0; !taken && k < n; k++) {
            const struct splice *by = &all->v[k];
            taken = by->del && x->at + x->del > by->at && x->at < by->at + by->del;
        }
        if (!taken)
            all->v[kept++] = *x;
    }
    all->n = kept;
}

/* rewrite_header's comments of addresses, where there are any. Encoded here: what stands in an
 * encoded-word that holds the parentheses too would be no comment. */
static void mark_addresses(struct header_plan *p, const struct report_on *r)
{
    static const char *const names[] = {"From", "To"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct span name = span_str(names[i]), text = report_comment(r, name);
        if (text.n <= 2 || !header_plan_has(p, name))
            continue;
        struct buf b = {0};
        buf_char(&b, '(');
        compose_words(&b, span_sub(text, 1, text.n - 1));
        buf_str(&b, ") ");
        header_plan_prefix(p, name, arena_dup(p->arena, buf_span(&b)));
        buf_free(&b);
    }
}

/* The marks of spam in Subject, From and To; a policy's tag counts where no preferences do. */
static void mark(struct header_plan *p, const struct report_on *r, const struct decision *d)
{
    struct span prefix = report_subject_prefix(r), tag = SPAN_NONE;
    if (prefix.p)
        header_plan_prefix(p, SPAN("Subject"), prefix);
    if (!d->spam)
        return;
    if (d->opinion || !d->policy->subject_tag)
        tag = report_subject_tag(r);
    if (!tag.p && d->policy->subject_tag)
        tag = report_expand(r, span_str(d->policy->subject_tag));
    if (tag.p)
        header_plan_prefix(p, SPAN("Subject"), tag);
    mark_addresses(p, r);
}

/* What policies want of header and parts, into the plan and out. Returns whether a part is taken
 * out. */
static bool policy_edits(const struct settings *set, const struct message *m,
                         const struct decision *d, struct header_plan *plan, struct splices *out)
{
    for (size_t i = 0; i < d->napplied; i++) {
        const struct policy *p = d->applied[i].policy;
        policy_headers(plan, &(struct tags_on){set, m, d, p, NULL}, &p->actions);
    }
    if (!d->parts)
        return false;
    const struct tags_on on = {set, m, d, d->policy, NULL};
    struct part_plan parts = part_plan_of(&on, plan->arena);
    part_plan_emit(&parts, plan, out);
    disclaimers(&parts, plan, out);
    return parts.removes;
}

static void emit_header(const struct header_plan *plan, const struct message *m, size_t of_parts,
                        struct splices *out)
{
    header_insert(out, plan->h, buf_span(plan->head));
    header_plan_emit(plan, out);
    give_way(out, of_parts);
    splices_sort(out, m->raw.n, NULL);
}

bool action_policy_edits(const struct settings *set, const struct message *m,
                         const struct decision *d, struct arena *a, struct splices *out)
{
    struct buf head = {0};
    struct header_plan plan = header_plan_of(a, mime_header(a, m->raw, NULL), &head);
    bool removes = policy_edits(set, m, d, &plan, out);
    emit_header(&plan, m, out->n, out);
    buf_free(&head);
    return removes;
}

bool action_edits(const struct settings *set, const struct conf *conf, const struct message *m,
                  const struct decision *d, struct arena *a, struct splices *out)
{
    struct mime *h = mime_header(a, m->raw, NULL);
    struct buf head = {0};
    struct header_plan plan = header_plan_of(a, h, &head);

    add_authentication(&head, set, m, a);
    if (!m->peer.behind_mta)
        buf_add(&head, action_trace(set, m, a));
    add_virus_status(&head, set, m, d);
    for (size_t i = 0; i < h->root->fields.n; i++)
        plan.v[i].deleted = forged(set, h, &h->root->fields.v[i]);
    bool judged = d->opinion ? d->opinion->rules.ran : conf && m->facts.rules.ran;
    if (judged && d->policy->scan) {
        struct report_on r = spam_report(set, conf, m, d, a);
        add_spam_headers(&head, &r, d);
        mark(&plan, &r, d);
    }
    bool removes = policy_edits(set, m, d, &plan, out);
    size_t of_parts = out->n;
    /* Last of ours: a message that begins with a continuation line would continue this field. */
    if (m->has_envelope)
        buf_printf(&head, "X-Gatehouse-Id: %s\n", m->id);

    emit_header(&plan, m, of_parts, out);
    buf_free(&head);
    return removes;
}

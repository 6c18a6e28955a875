#include "action/action_private.h"
#include "mime/compose.h"
#include "mime/header_edit.h"

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

static bool touched(struct span name)
{
    return ours(name) || named(name, SPAN("Authentication-Results")) ||
           named(name, SPAN("Subject"));
}

/* Header fields that only this gateway may put there. */
static bool forged(const struct settings *set, const struct mime *h, const struct mime_field *f)
{
    return ours(f->name) || (named(f->name, SPAN("Authentication-Results")) &&
                             span_ieq(authserv_id(header_value(h, f)), span_str(set->hostname)));
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
        buf_str(b, "Infected (");
        add_plain(b, v->name, SIGNATURE_MAX);
        buf_char(b, ')');
    } else if (why) {
        buf_printf(b, "Unscanned (%s)", why);
    } else {
        buf_str(b, "Clean");
    }
    buf_char(b, '\n');
}

/* Puts the tag in front of every Subject there is: readers differ in which one they show. */
static void tag_subjects(struct mime *h, struct span tag, struct splices *out)
{
    for (size_t i = 0; i < h->root->fields.n; i++) {
        struct mime_field *f = &h->root->fields.v[i];
        if (named(f->name, SPAN("Subject")) &&
            !span_starts(mime_decoded(h, f), span_trim(tag))) /* tagged before, perhaps by us */
            header_prefix(out, h, f, tag);
    }
}

static bool has_subject(const struct mime *h)
{
    for (size_t i = 0; i < h->root->fields.n; i++)
        if (named(h->root->fields.v[i].name, SPAN("Subject")))
            return true;
    return false;
}

void action_edits(const struct settings *set, const struct conf *conf, const struct message *m,
                  const struct decision *d, struct arena *a, struct splices *out)
{
    struct mime *h = mime_header(a, m->raw, touched);
    struct buf head = {0};
    struct span tag = SPAN_NONE;

    if (!m->peer.behind_mta)
        buf_add(&head, action_trace(set, m, a));
    add_virus_status(&head, set, m, d);
    bool judged = d->opinion ? d->opinion->rules.ran : conf && m->facts.rules.ran;
    if (judged && d->policy->scan) {
        struct report_on r = spam_report(set, conf, m, d, a);
        add_spam_headers(&head, &r, d);
        if (d->spam && d->policy->subject_tag)
            tag = report_expand(&r, span_str(d->policy->subject_tag));
        if (tag.p && !has_subject(h))
            compose_field(&head, "Subject", tag);
    }
    /* Last of ours: a message that begins with a continuation line would continue this field. */
    if (m->has_envelope)
        buf_printf(&head, "X-Gatehouse-Id: %s\n", m->id);

    header_insert(out, h, buf_span(&head));
    for (size_t i = 0; i < h->root->fields.n; i++)
        if (forged(set, h, &h->root->fields.v[i]))
            header_delete(out, h, &h->root->fields.v[i]);
    if (tag.p)
        tag_subjects(h, tag, out);
    splices_sort(out, m->raw.n, NULL);
    buf_free(&head);
}

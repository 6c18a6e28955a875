#include "action/action_private.h"
#include "mime/compose.h"

enum { SIGNATURE_MAX = 200, WHY_MAX = 200, TAG_MAX = 200 };

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

/* Header fields that only this gateway may put there. */
static bool forged(const struct settings *set, const struct field *f)
{
    if (span_istarts(f->name, SPAN("X-Spam-")) || span_istarts(f->name, SPAN("X-Gatehouse-")) ||
        span_ieq(f->name, SPAN("X-Virus-Status")))
        return true;
    return span_ieq(f->name, SPAN("Authentication-Results")) &&
           span_ieq(authserv_id(f->value), span_str(set->hostname));
}

static void add_virus_status(struct buf *b, const struct settings *set, const struct message *m,
                             const struct decision *d, const char *eol)
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
    buf_str(b, eol);
}

static bool ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

/* The policy's tag with its _TAGS_ filled in, ready for a header (RFC 2047). */
static struct span subject_tag(const struct report_on *r, const struct decision *d, struct arena *a)
{
    struct span plain = report_expand(r, span_str(d->policy->subject_tag));
    struct buf b = {0};
    if (ascii(plain))
        return plain;
    /* In one piece, its own space inside: white space between encoded words is not shown. */
    compose_phrase(&b, plain);
    buf_char(&b, ' ');
    struct span encoded = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return encoded;
}

/* Puts the tag in front of every Subject there is (readers differ in which one they show), or adds
 * a Subject to `head`. */
static void tag_subject(const struct message *m, struct span tag, struct arena *a,
                        struct splices *out, struct buf *head, const char *eol)
{
    bool found = false;
    struct field f;
    for (uint64_t at = header_start(m->raw); field_next(m->raw, &at, &f);) {
        if (!span_ieq(f.name, SPAN("Subject")))
            continue;
        found = true;
        size_t space = 0;
        while (space < f.value.n && (f.value.p[space] == ' ' || f.value.p[space] == '\t'))
            space++;
        if (span_starts(span_from(f.value, space), span_trim(tag)))
            continue; /* tagged before, perhaps by ourselves */
        uint64_t where = (uint64_t)(f.value.p - m->raw.p) + space;
        splices_add(out, a, where, 0, space ? tag : arena_printf(a, " %.*s", SPAN_ARG(tag)));
    }
    if (!found)
        buf_printf(head, "Subject: %.*s%s", SPAN_ARG(span_trim(tag)), eol);
}

static void add_spam(const struct settings *set, const struct conf *conf, const struct message *m,
                     const struct decision *d, struct arena *a, struct splices *out,
                     struct buf *head)
{
    const char *eol = line_end(m->raw);
    struct report_on r = spam_report(set, conf, m, d, a);
    add_spam_headers(head, &r, d, eol);
    if (d->spam && d->policy->subject_tag)
        tag_subject(m, subject_tag(&r, d, a), a, out, head, eol);
}

void action_edits(const struct settings *set, const struct conf *conf, const struct message *m,
                  const struct decision *d, struct arena *a, struct splices *out)
{
    const char *eol = line_end(m->raw);
    struct buf head = {0};
    struct splices removed = {0};
    struct field f;
    for (uint64_t at = header_start(m->raw); field_next(m->raw, &at, &f);)
        if (forged(set, &f))
            splices_add(&removed, a, f.at, f.size, SPAN(""));

    if (!m->peer.behind_mta)
        buf_add(&head, action_trace(set, m, a));
    add_virus_status(&head, set, m, d, eol);
    if (conf && m->facts.rules.ran && d->policy->scan)
        add_spam(set, conf, m, d, a, &removed, &head);
    /* Last of ours: a message that begins with a continuation line would continue this field. */
    if (m->has_envelope)
        buf_printf(&head, "X-Gatehouse-Id: %s%s", m->id, eol);

    splices_add(out, a, header_start(m->raw), 0, arena_dup(a, buf_span(&head)));
    for (size_t i = 0; i < removed.n; i++)
        splices_add(out, a, removed.v[i].at, removed.v[i].del, removed.v[i].ins);
    splices_sort(out, m->raw.n, NULL);
    buf_free(&head);
}

/* Whole messages with SpamAssassin's marks: headers put in front, or the message wrapped into a
 * report (semantics 10.2). */
#include "rules/report_private.h"

/* The parts of the original: a "From " line of an mbox, the whole behind it, that in header block
 * and body; and the line ends. */
struct original {
    struct span mbox, whole, head, body;
    bool crlf;
};

static struct original split(struct span raw)
{
    struct original o = {0};
    size_t lf = span_find(raw, '\n');
    o.crlf = lf != SIZE_MAX && lf > 0 && raw.p[lf - 1] == '\r';
    if (lf != SIZE_MAX && span_starts(raw, SPAN("From "))) {
        o.mbox = span_sub(raw, 0, lf + 1);
        raw = span_from(raw, lf + 1);
    }
    o.whole = o.head = raw;
    o.body = span_from(raw, raw.n);
    for (size_t at = 0; at < raw.n;) {
        size_t end = span_find(span_from(raw, at), '\n');
        struct span line = span_sub(raw, at, end == SIZE_MAX ? raw.n : at + end);
        at = end == SIZE_MAX ? raw.n : at + end + 1;
        if (line.n == 0 || span_eq(line, SPAN("\r"))) {
            o.head = span_sub(raw, 0, at);
            o.body = span_from(raw, at);
            break;
        }
    }
    return o;
}

/* LF becomes CRLF where the original has that. */
static void add_lines(struct buf *b, struct span s, bool crlf)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n' && crlf && (i == 0 || s.p[i - 1] != '\r'))
            buf_char(b, '\r');
        buf_char(b, s.p[i]);
    }
}

/* The next field of the block with its folded lines; the blank line is one by itself. */
static struct span next_field(struct span *rest)
{
    size_t end = 0;
    do {
        size_t lf = span_find(span_from(*rest, end), '\n');
        end = lf == SIZE_MAX ? rest->n : end + lf + 1;
    } while (end < rest->n && (rest->p[end] == ' ' || rest->p[end] == '\t'));
    struct span field = span_sub(*rest, 0, end);
    *rest = span_from(*rest, end);
    return field;
}

static bool is_old_mark(struct span field)
{
    return span_istarts(field, SPAN("X-Spam-")) && !span_istarts(field, SPAN("X-Spam-Prev-"));
}

/* "TAG " behind the colon unless it stands there. */
static void add_tagged(struct buf *b, struct span field, struct span tag)
{
    size_t colon = span_find(field, ':');
    struct span rest = span_from(field, colon + 1);
    while (rest.n && (rest.p[0] == ' ' || rest.p[0] == '\t'))
        rest = span_from(rest, 1);
    if (span_istarts(rest, tag) && tag.n < rest.n && rest.p[tag.n] == ' ')
        rest = span_from(rest, tag.n + 1);
    buf_add(b, span_sub(field, 0, colon + 1));
    buf_char(b, ' ');
    buf_add(b, tag);
    buf_char(b, ' ');
    buf_add(b, rest);
}

/* rewrite_header's tag for this field, in parentheses for addresses; absent when there is none. */
static struct span rewrite_tag(const struct report_on *r, struct span field)
{
    if (!r->spam)
        return SPAN_NONE;
    if (span_istarts(field, SPAN("Subject:"))) {
        struct span tag = report_subject_tag(r);
        return span_sub(tag, 0, tag.n ? tag.n - 1 : 0);
    }
    return span_istarts(field, SPAN("From:")) ? report_comment(r, SPAN("From"))
           : span_istarts(field, SPAN("To:")) ? report_comment(r, SPAN("To"))
                                              : SPAN_NONE;
}

/* A Subject field with the prefixes of rules in it; as it is when there are none. */
static struct span prefixed(const struct report_on *r, struct span field)
{
    struct span prefix =
        span_istarts(field, SPAN("Subject:")) ? report_subject_prefix(r) : SPAN_NONE;
    if (!prefix.n)
        return field;
    struct buf b = {0};
    add_tagged(&b, field, span_sub(prefix, 0, prefix.n - 1));
    return report_take(r->arena, &b);
}

/* The header block with the marks in it. */
static struct span marked_head(const struct report_on *r, const struct original *o)
{
    struct buf b = {0}, previous = {0};
    struct span rest = o->head;
    bool first = true, subject = false;
    struct span marks = report_header_text(r);
    while (rest.n) {
        struct span field = next_field(&rest), tag = rewrite_tag(r, field);
        bool blank = span_trim(field).n == 0;
        /* Return-Path stays on top, then our headers */
        if (first && !span_istarts(field, SPAN("Return-Path:"))) {
            add_lines(&b, marks, o->crlf);
            first = false;
        }
        subject = subject || span_istarts(field, SPAN("Subject:"));
        if (blank && !subject && r->spam && r->conf->report.rewrite_subject.p) {
            add_tagged(&b, SPAN("Subject: "), rewrite_tag(r, SPAN("Subject: ")));
            add_lines(&b, SPAN("\n"), o->crlf);
            add_lines(&previous, SPAN("X-Spam-Prev-Subject: (nonexistent)\n"), o->crlf);
        }
        if (blank)
            buf_add(&b, buf_span(&previous));
        if (is_old_mark(field))
            continue;
        if (tag.p) {
            add_tagged(&b, prefixed(r, field), tag);
            buf_str(&previous, "X-Spam-Prev-");
            buf_add(&previous, field);
        } else {
            buf_add(&b, prefixed(r, field));
        }
    }
    if (first)
        add_lines(&b, marks, o->crlf);
    buf_free(&previous);
    return report_take(r->arena, &b);
}

struct span report_marked(const struct report_on *r)
{
    struct original o = split(r->m->raw);
    struct buf b = {0};
    buf_add(&b, o.mbox);
    buf_add(&b, marked_head(r, &o));
    buf_add(&b, o.body);
    return report_take(r->arena, &b);
}

/* --- report_safe --- */

/* The last field of that name, its value behind the colon and blanks. */
static struct span last_value(struct span head, const char *name)
{
    struct span found = SPAN_NONE;
    while (head.n) {
        struct span field = next_field(&head);
        size_t colon = span_find(field, ':');
        if (colon == SIZE_MAX || !span_ieq(span_trim(span_sub(field, 0, colon)), span_str(name)))
            continue;
        found = span_from(field, colon + 1);
        while (found.n && (found.p[0] == ' ' || found.p[0] == '\t'))
            found = span_from(found, 1);
    }
    return found;
}

static void copy_header(struct buf *b, const struct report_on *r, struct span head,
                        const char *name)
{
    struct span value = last_value(head, name);
    struct span field = arena_printf(r->arena, "%s: %.*s", name, SPAN_ARG(value));
    struct span tag = rewrite_tag(r, field);
    if (!value.p && !tag.p)
        return;
    if (!value.p)
        field = arena_printf(r->arena, "%s: \n", name);
    if (tag.p && span_istarts(field, SPAN("Subject:"))) {
        add_tagged(b, prefixed(r, field), tag);
        return;
    }
    buf_add(b, field);
    if (tag.p) { /* behind the addresses, as a comment */
        while (b->n && (b->p[b->n - 1] == '\n' || b->p[b->n - 1] == '\r'))
            b->n--;
        buf_printf(b, "\t%.*s\n", SPAN_ARG(tag));
    }
}

static struct span boundary(const struct report_on *r, uint64_t seed)
{
    struct span s =
        arena_printf(r->arena, "----------=_%08X.%08X", (unsigned)(seed >> 32), (unsigned)seed);
    for (unsigned i = 1; span_search(r->m->raw, s) != SIZE_MAX; i++)
        s = arena_printf(r->arena, "%.*s/%08X", SPAN_ARG(s), (unsigned)seed * 2654435761u + i);
    return s;
}

static void add_top(struct buf *b, const struct report_on *r, struct span head)
{
    static const char *const names[] = {"From", "To", "Cc", "Subject", "Date", "Message-Id"};
    char date[CLOCK_RFC5322_SIZE];
    buf_printf(b, "Received: from localhost by %.*s\n\twith SpamAssassin (version %s);\n\t%s\n",
               SPAN_ARG(report_host(r)), SA_VERSION,
               clock_rfc5322(r->m->received ? r->m->received : clock_wall(), date));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        copy_header(b, r, head, names[i]);
    buf_add(b, report_header_text(r));
    for (size_t i = 0; i < r->conf->report.nsafe_copy; i++)
        copy_header(b, r, head, arena_cstr(r->arena, r->conf->report.safe_copy_headers[i]));
}

/* What stands in front of the wrapped original, and what behind it. */
struct wrapping {
    struct span before, after;
};

static struct span as_lines(const struct report_on *r, struct buf *b, bool crlf)
{
    struct buf out = {0};
    add_lines(&out, buf_span(b), crlf);
    buf_free(b);
    return report_take(r->arena, &out);
}

static struct wrapping wrap(const struct report_on *r, const struct original *o, int report_safe,
                            uint64_t seed)
{
    struct buf b = {0};
    struct wrapping w;
    struct span limit = boundary(r, seed), type = last_value(o->head, "Content-Type");
    bool plain =
        !type.p || span_trim(type).n == 0 || span_isearch(type, SPAN("text/plain")) != SIZE_MAX;
    add_top(&b, r, o->head);
    buf_printf(&b,
               "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"%.*s\"\n\n"
               "This is a multi-part message in MIME format.\n\n--%.*s\n"
               "Content-Type: text/plain; charset=%.*s\nContent-Disposition: inline\n"
               "Content-Transfer-Encoding: 8bit\n\n",
               SPAN_ARG(limit), SPAN_ARG(limit), SPAN_ARG(r->conf->report.charset));
    buf_add(&b, report_text(r));
    if (!plain)
        buf_add(&b, report_expand(r, r->conf->report.unsafe_report));
    buf_printf(&b,
               "\n\n--%.*s\nContent-Type: %s; x-spam-type=original\n"
               "Content-Description: original message before SpamAssassin\n"
               "Content-Disposition: %s\nContent-Transfer-Encoding: 8bit\n\n",
               SPAN_ARG(limit), report_safe > 1 ? "text/plain" : "message/rfc822",
               plain ? "inline" : "attachment");
    w.before = as_lines(r, &b, o->crlf);
    buf_printf(&b, "\n--%.*s--\n\n", SPAN_ARG(limit));
    w.after = as_lines(r, &b, o->crlf);
    return w;
}

struct span report_safe(const struct report_on *r, int report_safe, uint64_t boundary_seed)
{
    struct original o = split(r->m->raw);
    struct wrapping w = wrap(r, &o, report_safe, boundary_seed);
    struct buf out = {0};
    buf_add(&out, o.mbox);
    buf_add(&out, w.before);
    buf_add(&out, o.whole);
    buf_add(&out, w.after);
    return report_take(r->arena, &out);
}

bool report_rewrite(const struct report_on *r, uint64_t boundary_seed, size_t header_max,
                    struct splices *out)
{
    struct original o = split(r->m->raw);
    int safe = r->conf->report.report_safe;
    if (o.head.n > header_max)
        return false;
    if (r->spam && safe) {
        struct wrapping w = wrap(r, &o, safe, boundary_seed);
        splices_add(out, r->arena, o.mbox.n, 0, w.before);
        splices_add(out, r->arena, r->m->raw.n, 0, w.after);
    } else {
        splices_add(out, r->arena, o.mbox.n, o.head.n, marked_head(r, &o));
    }
    return true;
}

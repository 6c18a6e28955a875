/* Delivery status notifications (RFC 3464, 3461; internationalized: RFC 6533). */
#include "deliver/report.h"

#include "mime/compose.h"
#include "smtp/reply.h"

/* The header of the original that goes back; of a reply, what fits a line of the text. */
enum { HEADER_MAX = 64 * 1024, REPLY_SHOWN_MAX = 900 };

static bool ascii_only(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

/* Text from outside: no control characters, 8-bit only in an internationalized report. */
static void add_clean(struct buf *b, struct span s, bool utf8)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        buf_char(b, c < ' ' || c == 0x7f || (c >= 0x80 && !utf8) ? '?' : (char)c);
    }
}

/* Name: before value after; folded. */
static void add_field(struct buf *b, const char *name, const char *before, struct span value,
                      const char *after, bool utf8)
{
    struct buf text = {0};
    buf_str(&text, before);
    add_clean(&text, value, utf8);
    buf_str(&text, after);
    compose_structured(b, name, buf_span(&text));
    buf_free(&text);
}

static void add_time(struct buf *b, const char *name, usec when)
{
    char text[CLOCK_RFC5322_SIZE];
    compose_structured(b, name, span_str(clock_rfc5322(when, text)));
}

static bool needs_utf8(const struct report *r)
{
    const struct envelope *env = &r->meta->env;
    if (!ascii_only(env->from))
        return true;
    for (size_t i = 0; i < r->n; i++)
        if (!ascii_only(env->rcpts[r->v[i].rcpt].addr))
            return true;
    return false;
}

static const struct {
    const char *subject, *action, *text;
} words[] = {
    [REPORT_FAILED] =
        {"Undelivered mail", "failed",
         "Your message could not be delivered to the recipients below. It will not be "
         "tried\r\nagain. What the next mail system said stands behind each of them."},
    [REPORT_DELAYED] = {"Delayed mail (still being tried)", "delayed",
                        "Your message has not been delivered to the recipients below yet. You need "
                        "not send\r\nit again: it is tried further, and you will be told should it "
                        "fail in the end."},
    [REPORT_RELAYED] =
        {"Mail passed on", "relayed",
         "Your message was passed on to the mail system of the recipients below. That "
         "system\r\ndoes not report deliveries itself, so this is the last notice."},
};

static void add_header(struct buf *b, const struct report *r, const char *boundary, bool utf8,
                       bool eight)
{
    add_field(b, "From", "Mail Delivery System <", span_str(r->from), ">", utf8);
    add_field(b, "To", "<", r->meta->env.from, ">", utf8);
    compose_field(b, "Subject", span_str(words[r->kind].subject));
    add_time(b, "Date", r->now);
    buf_printf(b, "Message-ID: <%s@%s>\r\n", r->id, r->hostname);
    buf_str(b, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
    buf_printf(b,
               "Content-Type: multipart/report; report-type=%sdelivery-status;\r\n"
               "\tboundary=\"%s\"\r\n",
               utf8 ? "global-" : "", boundary);
    if (eight)
        buf_str(b, "Content-Transfer-Encoding: 8bit\r\n");
    buf_str(b, "\r\nThis is a report about mail, in the form of RFC 3464.\r\n");
}

/* Begins a part of the report. */
static void add_part(struct buf *b, const char *boundary, const char *type, bool eight)
{
    buf_printf(b, "\r\n--%s\r\nContent-Type: %s\r\n%s\r\n", boundary, type,
               eight ? "Content-Transfer-Encoding: 8bit\r\n" : "");
}

static void add_text(struct buf *b, const struct report *r, bool utf8)
{
    buf_printf(b, "This is the mail gateway %s.\r\n\r\n%s\r\n", r->hostname, words[r->kind].text);
    for (size_t i = 0; i < r->n; i++) {
        buf_str(b, "\r\n<");
        add_clean(b, r->meta->env.rcpts[r->v[i].rcpt].addr, utf8);
        buf_str(b, ">:\r\n    ");
        add_clean(b, span_sub(r->v[i].reply, 0, REPLY_SHOWN_MAX), utf8);
        buf_str(b, "\r\n");
    }
    if (r->kind == REPORT_DELAYED) {
        char text[CLOCK_RFC5322_SIZE];
        buf_printf(b, "\r\nIt is given up at %s\r\n", clock_rfc5322(r->expires, text));
    }
}

/* "5.1.1" of "550 5.1.1 text", else the class alone. */
static void add_status(struct buf *b, const struct report *r, struct span reply)
{
    unsigned char dsn[3];
    unsigned detail;
    struct span text = reply.n > 4 ? span_from(reply, 4) : SPAN("");
    char class = r->kind == REPORT_FAILED ? '5' : r->kind == REPORT_DELAYED ? '4' : '2';
    if (reply_dsn(text, dsn, &detail))
        buf_printf(b, "Status: %c.%u.%u\r\n", class, dsn[1], detail);
    else
        buf_printf(b, "Status: %c.0.0\r\n", class);
}

static void add_recipient(struct buf *b, const struct report *r, const struct failed *f, bool utf8)
{
    const struct rcpt *to = &r->meta->env.rcpts[f->rcpt];
    buf_str(b, "\r\n");
    if (to->orcpt.n)
        add_field(b, "Original-Recipient", "", to->orcpt, "", utf8);
    add_field(b, "Final-Recipient", utf8 && !ascii_only(to->addr) ? "utf-8; " : "rfc822; ",
              to->addr, "", utf8);
    buf_printf(b, "Action: %s\r\n", words[r->kind].action);
    add_status(b, r, f->reply);
    struct span host = r->where;
    if (host.n && host.p[0] == '[') {
        size_t end = span_find(host, ']');
        host = span_sub(host, 0, end == SIZE_MAX ? end : end + 1);
        add_field(b, "Remote-MTA", "dns; ", host, "", false);
    }
    if (f->reply.n)
        add_field(b, "Diagnostic-Code", "smtp; ", f->reply, "", utf8);
    if (r->kind == REPORT_DELAYED)
        add_time(b, "Will-Retry-Until", r->expires);
}

static void add_statuses(struct buf *b, const struct report *r, bool utf8)
{
    if (r->meta->env.envid.n)
        add_field(b, "Original-Envelope-Id", "", r->meta->env.envid, "", utf8);
    add_field(b, "Reporting-MTA", "dns; ", span_str(r->hostname), "", utf8);
    add_time(b, "Arrival-Date", r->meta->created);
    for (size_t i = 0; i < r->n; i++)
        add_recipient(b, r, &r->v[i], utf8);
}

/* The header of the original with its last line end, cut at a line when it is long. */
static struct span header_of(struct span original)
{
    size_t end = span_search(original, SPAN("\r\n\r\n"));
    struct span head = end == SIZE_MAX ? original : span_sub(original, 0, end + 2);
    if (head.n <= HEADER_MAX)
        return head;
    head = span_sub(head, 0, HEADER_MAX);
    size_t line = span_rfind(head, '\n');
    return span_sub(head, 0, line == SIZE_MAX ? head.n : line + 1);
}

static const char *original_type(const struct report *r, bool eight)
{
    if (r->whole)
        return eight && r->meta->env.smtputf8 ? "message/global" : "message/rfc822";
    return eight ? "message/global-headers" : "text/rfc822-headers";
}

void report_compose(const struct report *r, struct buf *out)
{
    bool utf8 = needs_utf8(r);
    struct span original = r->whole ? r->original : header_of(r->original);
    bool eight = !ascii_only(original);
    char boundary[COMPOSE_BOUNDARY_SIZE];
    compose_boundary(boundary);
    add_header(out, r, boundary, utf8, utf8 || eight);
    add_part(out, boundary, utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii",
             utf8);
    add_text(out, r, utf8);
    add_part(out, boundary, utf8 ? "message/global-delivery-status" : "message/delivery-status",
             utf8);
    add_statuses(out, r, utf8);
    add_part(out, boundary, original_type(r, eight), eight);
    buf_add(out, original);
    buf_printf(out, "%s\r\n--%s--\r\n", span_ends(original, SPAN("\r\n")) ? "" : "\r\n", boundary);
}

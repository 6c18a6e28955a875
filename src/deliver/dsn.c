/* Delivery status notifications (RFC 3464, 3461; internationalized: RFC 6533). */
#include "deliver/report.h"

#include "smtp/reply.h"

/* The header of the original that goes back. */
enum { HEADER_MAX = 64 * 1024 };

static bool ascii_only(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

/* Text from outside in a header line: no control characters, 8-bit only in an internationalized
 * one. */
static void add_clean(struct buf *b, struct span s, bool utf8)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        buf_char(b, c < ' ' || c == 0x7f || (c >= 0x80 && !utf8) ? '?' : (char)c);
    }
}

static void add_line(struct buf *b, const char *name, struct span value, bool utf8)
{
    buf_str(b, name);
    add_clean(b, value, utf8);
    buf_str(b, "\r\n");
}

static void add_time(struct buf *b, const char *name, usec when)
{
    char text[CLOCK_RFC5322_SIZE];
    add_line(b, name, span_str(clock_rfc5322(when, text)), false);
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

static void add_header(struct buf *b, const struct report *r, bool utf8, bool eight)
{
    add_line(b, "From: Mail Delivery System <", span_str(r->from), utf8);
    b->n -= 2;
    buf_str(b, ">\r\nTo: <");
    add_clean(b, r->meta->env.from, utf8);
    buf_printf(b, ">\r\nSubject: %s\r\n", words[r->kind].subject);
    add_time(b, "Date: ", r->now);
    buf_printf(b, "Message-ID: <%s@%s>\r\n", r->id, r->hostname);
    buf_str(b, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
    buf_printf(b,
               "Content-Type: multipart/report; report-type=%sdelivery-status;\r\n"
               "\tboundary=\"=_%s\"\r\n",
               utf8 ? "global-" : "", r->id);
    if (eight)
        buf_str(b, "Content-Transfer-Encoding: 8bit\r\n");
    buf_str(b, "\r\nThis is a report about mail, in the form of RFC 3464.\r\n");
}

static void add_text(struct buf *b, const struct report *r, bool utf8)
{
    buf_printf(b, "\r\n--=_%s\r\nContent-Type: text/plain; charset=%s\r\n%s\r\n", r->id,
               utf8 ? "utf-8" : "us-ascii", utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "");
    buf_printf(b, "This is the mail gateway %s.\r\n\r\n%s\r\n", r->hostname, words[r->kind].text);
    for (size_t i = 0; i < r->n; i++) {
        buf_str(b, "\r\n<");
        add_clean(b, r->meta->env.rcpts[r->v[i].rcpt].addr, utf8);
        buf_str(b, ">:\r\n    ");
        add_clean(b, r->v[i].reply, utf8);
        buf_str(b, "\r\n");
    }
    if (r->kind == REPORT_DELAYED)
        add_time(b, "\r\nIt is given up at ", r->expires);
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
        add_line(b, "Original-Recipient: ", to->orcpt, utf8);
    add_line(
        b, utf8 && !ascii_only(to->addr) ? "Final-Recipient: utf-8; " : "Final-Recipient: rfc822; ",
        to->addr, utf8);
    buf_printf(b, "Action: %s\r\n", words[r->kind].action);
    add_status(b, r, f->reply);
    struct span host = r->where;
    if (host.n && host.p[0] == '[') {
        size_t end = span_find(host, ']');
        add_line(b, "Remote-MTA: dns; ", span_sub(host, 0, end == SIZE_MAX ? end : end + 1), false);
    }
    if (f->reply.n)
        add_line(b, "Diagnostic-Code: smtp; ", f->reply, utf8);
    if (r->kind == REPORT_DELAYED)
        add_time(b, "Will-Retry-Until: ", r->expires);
}

static void add_statuses(struct buf *b, const struct report *r, bool utf8)
{
    buf_printf(b, "\r\n--=_%s\r\nContent-Type: message/%sdelivery-status\r\n%s\r\n", r->id,
               utf8 ? "global-" : "", utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "");
    if (r->meta->env.envid.n)
        add_line(b, "Original-Envelope-Id: ", r->meta->env.envid, utf8);
    buf_printf(b, "Reporting-MTA: dns; %s\r\n", r->hostname);
    add_time(b, "Arrival-Date: ", r->meta->created);
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

static void add_original(struct buf *b, const struct report *r, struct span bytes, bool eight)
{
    const char *type = r->whole
                           ? eight && r->meta->env.smtputf8 ? "message/global" : "message/rfc822"
                       : eight ? "message/global-headers"
                               : "text/rfc822-headers";
    buf_printf(b, "\r\n--=_%s\r\nContent-Type: %s\r\n%s\r\n", r->id, type,
               eight ? "Content-Transfer-Encoding: 8bit\r\n" : "");
    buf_add(b, bytes);
    if (!span_ends(bytes, SPAN("\r\n")))
        buf_str(b, "\r\n");
    buf_printf(b, "\r\n--=_%s--\r\n", r->id);
}

void report_compose(const struct report *r, struct buf *out)
{
    bool utf8 = needs_utf8(r);
    struct span original = r->whole ? r->original : header_of(r->original);
    bool eight = !ascii_only(original);
    add_header(out, r, utf8, utf8 || eight);
    add_text(out, r, utf8);
    add_statuses(out, r, utf8);
    add_original(out, r, original, eight);
}

#include "smtp/reply.h"

/* clang-format off */
static const struct reply_row rows[R_COUNT] = {
    [R_GREETING]           = {220, NULL, "%s"},
    [R_BYE]                = {221, "2.0.0", "closing"},
    [R_EHLO]               = {250, NULL, "%s"},
    [R_RESET]              = {250, "2.0.0", "forgotten"},
    [R_NOOP]               = {250, "2.0.0", "ok"},
    [R_HELP]               = {214, "2.0.0", "see RFC 5321"},
    [R_VRFY]               = {252, "2.1.5", "send some mail, we shall see"},
    [R_MAIL_OK]            = {250, "2.1.0", "sender ok"},
    [R_RCPT_OK]            = {250, "2.1.5", "recipient ok"},
    [R_DATA_GO]            = {354, NULL, "go ahead, end with a line that holds only a dot"},
    [R_CHUNK_OK]           = {250, "2.0.0", "chunk received"},
    [R_STORED]             = {250, "2.0.0", "accepted as %s"},
    [R_DISCARDED]          = {250, "2.0.0", "accepted as %s"},
    [R_TLS_GO]             = {220, "2.0.0", "start TLS"},
    [R_AUTH_OK]            = {235, "2.7.0", "authenticated"},
    [R_AUTH_GO]            = {334, NULL, "%s"},

    [R_TIMEOUT]            = {421, "4.4.2", "%s timed out, closing"},
    [R_TOO_MANY_ERRORS]    = {421, "4.7.0", "%s too many errors, closing"},
    [R_TOO_MANY_COMMANDS]  = {421, "4.7.0", "%s too many commands, closing"},
    [R_TOO_LONG_SESSION]   = {421, "4.7.0", "%s session took too long, closing"},
    [R_BUSY]               = {421, "4.7.0", "%s too many sessions, try again later"},
    [R_BUSY_ADDRESS]       = {421, "4.7.0", "%s too many sessions from your address"},
    [R_SHUTDOWN]           = {421, "4.3.2", "%s closing, try again"},
    [R_LOCAL_ERROR]        = {451, "4.3.0", "local trouble, try again later"},
    [R_NO_SCANNER]         = {451, "4.3.2", "message can't be examined now, try again later (%s)"},
    [R_SCAN_FAILED]        = {451, "4.3.0", "message could not be examined, try again later (%s)"},
    [R_SPOOL_GONE]         = {451, "4.3.0", "message can't be stored now, try again later (%s)"},
    [R_SPOOL_FULL]         = {452, "4.3.1", "no room, try again later"},
    [R_TOO_MANY_RCPTS]     = {452, "4.5.3", "too many recipients"},
    [R_TOO_MANY_MAILS]     = {421, "4.7.0", "%s too many messages in one session, closing"},
    [R_RCPT_UNVERIFIED]    = {450, "4.1.1", "recipient can't be checked now, try again later"},
    [R_DEFERRED]           = {451, "4.7.1", "message deferred, try again later (%s)"},
    [R_AUTH_LATER]         = {454, "4.7.0", "authentication is not possible now"},
    [R_TLS_LATER]          = {454, "4.7.0", "TLS is not available now"},
    [R_MAP_TROUBLE]        = {451, "4.3.5", "a map can't be read, try again later"},

    [R_UNKNOWN]            = {500, "5.5.1", "unknown command"},
    [R_BAD_LINE]           = {500, "5.5.2", "a command line is printable text and ends in CR LF"},
    [R_LINE_LONG]          = {500, "5.5.2", "line too long"},
    [R_NOT_SMTP]           = {421, "4.7.0", "this is an SMTP server, closing"},
    [R_SYNTAX]             = {501, "5.5.4", "bad argument"},
    [R_BAD_HELO]           = {501, "5.5.4", "a host name or address literal is wanted"},
    [R_BAD_ADDRESS_SYNTAX] = {501, "5.1.3", "bad recipient address syntax"},
    [R_BAD_SENDER_SYNTAX]  = {501, "5.1.7", "bad sender address syntax"},
    [R_BAD_PARAM]          = {501, "5.5.4", "bad parameter %s"},
    [R_UNKNOWN_PARAM]      = {555, "5.5.4", "parameter %s is not supported"},
    [R_BAD_UTF8]           = {553, "5.6.7", "a non-ASCII address needs valid UTF-8 and SMTPUTF8"},
    [R_NOT_IMPLEMENTED]    = {502, "5.5.1", "not implemented"},
    [R_HELO_FIRST]         = {503, "5.5.1", "say HELO or EHLO first"},
    [R_MAIL_FIRST]         = {503, "5.5.1", "say MAIL first"},
    [R_RCPT_FIRST]         = {503, "5.5.1", "no valid recipients"},
    [R_NESTED_MAIL]        = {503, "5.5.1", "a transaction is under way"},
    [R_NO_TRANSACTION]     = {503, "5.5.1", "no transaction with valid recipients"},
    [R_BDAT_MIXED]         = {503, "5.5.1", "only BDAT or RSET may follow BDAT"},
    [R_TOO_EARLY]          = {554, "5.5.0", "commands sent before the reply was read, closing"},
    [R_NEED_TLS]           = {530, "5.7.0", "say STARTTLS first"},
    [R_NEED_AUTH]          = {530, "5.7.0", "authentication required"},
    [R_AUTH_NEEDS_TLS]     = {538, "5.7.11", "authentication needs encryption: say STARTTLS first"},
    [R_AUTH_TWICE]         = {503, "5.5.1", "AUTH is not possible now"},
    [R_AUTH_MECHANISM]     = {504, "5.5.4", "unknown authentication mechanism"},
    [R_AUTH_BAD]           = {535, "5.7.8", "authentication failed"},
    [R_AUTH_CANCELLED]     = {501, "5.7.0", "authentication cancelled"},
    [R_AUTH_SYNTAX]        = {501, "5.5.2", "bad authentication data"},
    [R_TLS_TWICE]          = {503, "5.5.1", "TLS is not possible now"},
    [R_TLS_NONE]           = {502, "5.5.1", "TLS is not offered"},
    [R_RELAY_DENIED]       = {550, "5.7.1", "relaying denied"},
    [R_RCPT_UNKNOWN]       = {550, "5.1.1", "no such recipient"},
    [R_UNQUALIFIED]        = {550, "5.1.3", "recipient without domain"},
    [R_SENDER_UNQUALIFIED] = {553, "5.1.8", "sender without domain"},
    [R_ROUTED]             = {550, "5.7.1", "relaying denied: no routes in the local part"},
    [R_ACCESS_DENIED]      = {554, "5.7.1", "access denied"},
    [R_SENDER_DENIED]      = {550, "5.7.1", "sender denied"},
    [R_RCPT_DENIED]        = {550, "5.7.1", "recipient denied"},
    [R_TOO_BIG]            = {552, "5.3.4", "message larger than %s bytes"},
    [R_HEADER_BIG]         = {552, "5.3.4", "message header too large"},
    [R_TOO_MANY_HOPS]      = {554, "5.4.6", "too many hops, this looks like a loop"},
    [R_BARE_LINE_END]      = {550, "5.5.2", "bare CR or LF in the message: lines end in CR LF"},
    [R_TOO_MANY_CHUNKS]    = {552, "5.3.4", "too many chunks"},
    [R_REJECTED]           = {550, "5.7.1", "message refused (%s)"},
    [R_CLIENT_DENIED]      = {554, "5.7.1", "%s no service for you"},
    [R_XCLIENT_DENIED]     = {550, "5.7.0", "XCLIENT is not for you"},
};
/* clang-format on */

const struct reply_row *reply_row(enum reply_id id)
{
    return &rows[id];
}

static void add_printable(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        buf_char(out, c < ' ' || c == 0x7f ? '?' : (char)c);
    }
}

void reply_add(struct buf *out, enum reply_id id, const char *detail)
{
    const struct reply_row *r = &rows[id];
    buf_printf(out, "%u ", r->code);
    if (r->dsn) {
        buf_str(out, r->dsn);
        buf_char(out, ' ');
    }
    const char *hole = strstr(r->text, "%s");
    if (!hole) {
        buf_str(out, r->text);
    } else {
        buf_add(out, span_of(r->text, (size_t)(hole - r->text)));
        add_printable(out, span_str(detail));
        buf_str(out, hole + 2);
    }
    buf_str(out, "\r\n");
}

void reply_line(struct buf *out, unsigned code, bool last, struct span text)
{
    buf_printf(out, "%u%c", code, last ? ' ' : '-');
    add_printable(out, text);
    buf_str(out, "\r\n");
}

bool reply_valid(struct span text, unsigned *code)
{
    size_t lines = 1;
    if (text.n < 4 || text.n > REPLY_LINE_MAX || text.p[3] != ' ')
        return false;
    if (text.p[0] != '2' && text.p[0] != '4' && text.p[0] != '5')
        return false;
    if (!ascii_isdigit(text.p[1]) || !ascii_isdigit(text.p[2]))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        lines += text.p[i] == '\n';
        if ((text.p[i] < ' ' || text.p[i] > '~') && text.p[i] != '\n')
            return false;
    }
    *code = (unsigned)((text.p[0] - '0') * 100 + (text.p[1] - '0') * 10 + (text.p[2] - '0'));
    return lines <= REPLY_TEXT_LINES;
}

/* RFC 2034 section 4: "5.7.1 " behind the code, its length; 0: there is none. */
static size_t enhanced(struct span text)
{
    size_t end = span_find(span_sub(text, 0, 12), ' '), dots = 0;
    for (size_t i = 0; end != SIZE_MAX && i < end; i++) {
        dots += text.p[i] == '.';
        if (text.p[i] != '.' && !ascii_isdigit(text.p[i]))
            return 0;
    }
    return end != SIZE_MAX && dots == 2 ? end + 1 : 0;
}

void reply_text_add(struct buf *out, struct span text)
{
    struct span code = span_sub(text, 0, 3), rest = span_from(text, 4), line;
    struct span dsn = span_sub(rest, 0, enhanced(rest));
    rest = span_from(rest, dsn.n);
    do {
        if (!span_line(&rest, &line))
            line = SPAN("");
        buf_add(out, code);
        buf_char(out, rest.n ? '-' : ' ');
        buf_add(out, dsn);
        buf_add(out, line);
        buf_str(out, "\r\n");
    } while (rest.n);
}

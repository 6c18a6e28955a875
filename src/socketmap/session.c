#include "socketmap/session.h"

enum { DIGITS_MAX = 9, REASON_MAX = 500 };

/* The digits in front of the colon. No leading zero (djb's definition), so that there is one way to
 * write each. */
static enum netstring read_length(struct span in, size_t *at, size_t *length)
{
    size_t n = 0, i = 0;
    for (; i < in.n && ascii_isdigit(in.p[i]); i++) {
        if (i == DIGITS_MAX || (i == 1 && in.p[0] == '0'))
            return NETSTRING_BAD;
        n = n * 10 + (size_t)(in.p[i] - '0');
    }
    if (i == in.n)
        return i > DIGITS_MAX ? NETSTRING_BAD : NETSTRING_MORE;
    if (i == 0 || in.p[i] != ':')
        return NETSTRING_BAD;
    *at = i + 1;
    *length = n;
    return NETSTRING_DONE;
}

enum netstring netstring_read(struct span in, size_t max, struct span *out, size_t *used)
{
    size_t at, length;
    enum netstring r = read_length(in, &at, &length);
    if (r != NETSTRING_DONE)
        return r;
    if (length > max)
        return NETSTRING_BAD;
    if (in.n - at <= length)
        return NETSTRING_MORE;
    if (in.p[at + length] != ',')
        return NETSTRING_BAD;
    *out = span_sub(in, at, at + length);
    *used = at + length + 1;
    return NETSTRING_DONE;
}

void netstring_write(struct buf *b, struct span s)
{
    buf_printf(b, "%zu:", s.n);
    buf_add(b, s);
    buf_char(b, ',');
}

static void end(struct socketmap_session *s, const char *why)
{
    if (s->closed)
        return;
    s->closed = true;
    s->waiting = false;
    s->host->close(s->ctx, why);
}

static void take(struct socketmap_session *s, struct span text)
{
    size_t space = span_find(text, ' ');
    if (space == 0 || space > SOCKETMAP_MAP_MAX) { /* also: there is none */
        end(s, "not a map and a key");
        return;
    }
    s->waiting = true;
    s->asked++;
    s->host->ask(s->ctx, span_sub(text, 0, space), span_from(text, space + 1));
}

size_t socketmap_input(struct socketmap_session *s, struct span in)
{
    size_t used = 0;
    while (!s->closed && !s->waiting) {
        struct span text;
        size_t n;
        enum netstring r = netstring_read(span_from(in, used), SOCKETMAP_REQUEST_MAX, &text, &n);
        if (r == NETSTRING_MORE)
            break;
        if (r == NETSTRING_BAD) {
            end(s, "not a netstring");
            break;
        }
        used += n;
        take(s, text);
    }
    return s->closed ? in.n : used;
}

static bool printable(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return false;
    return true;
}

static void add_reason(struct buf *b, struct span text)
{
    text = span_sub(text, 0, REASON_MAX);
    for (size_t i = 0; i < text.n; i++)
        buf_char(b, (unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f ? ' ' : text.p[i]);
}

void socketmap_answer(struct socketmap_session *s, enum socketmap_status status, struct span text)
{
    static const char *const words[] = {"OK ", "NOTFOUND ", "TEMP ", "TIMEOUT ", "PERM "};
    struct buf reply = {0}, out = {0};
    if (!s->waiting)
        return;
    s->waiting = false;
    if (status == SOCKETMAP_OK && (text.n > SOCKETMAP_VALUE_MAX || !printable(text))) {
        status = SOCKETMAP_PERM;
        text = SPAN("the value is too long or has control characters");
    }
    buf_str(&reply, words[status]);
    if (status == SOCKETMAP_OK)
        buf_add(&reply, text);
    else if (status != SOCKETMAP_NOTFOUND)
        add_reason(&reply, text);
    netstring_write(&out, buf_span(&reply));
    s->host->send(s->ctx, buf_span(&out));
    buf_free(&reply);
    buf_free(&out);
}

#include "smtp/data.h"

/* States: what stands before the next byte. */
enum {
    AT_LINE,  /* CR LF, or the beginning */
    IN_LINE,  /* something else */
    AFTER_CR, /* CR, not yet written */
    DOT,      /* CR LF ".", not yet written */
    DOT_CR,   /* CR LF "." CR, not yet written */
    PAST_END
};

void data_begin(struct smtp_data *d, bool dots, bool normalise)
{
    *d = (struct smtp_data){.dots = dots, .normalise = normalise, .state = AT_LINE};
}

static void emit(struct smtp_data *d, const char *from, const char *to)
{
    if (to > from && d->sink)
        d->sink(d->ctx, span_of(from, (size_t)(to - from)));
}

static void emit_text(struct smtp_data *d, const char *text)
{
    emit(d, text, text + strlen(text));
}

static void bare_cr(struct smtp_data *d)
{
    d->bare = true;
    emit_text(d, d->normalise ? " " : "\r");
}

static void bare_lf(struct smtp_data *d)
{
    d->bare = true;
    emit_text(d, d->normalise ? "\r\n" : "\n");
}

/* Passes whole lines that need no attention: from p, which is inside a line or at its beginning.
 * Returns where the state changes; *run is where the unwritten bytes begin. */
static const char *pass_lines(struct smtp_data *d, const char *p, const char *end, const char **run)
{
    while (p < end) {
        if (d->state == AT_LINE && d->dots && *p == '.')
            return p;
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        const char *stop = nl ? nl : end;
        const char *cr = memchr(p, '\r', (size_t)(stop - p));
        if (cr && cr + 1 < end && cr + 1 == nl) {
            d->state = AT_LINE;
            p = nl + 1;
            continue;
        }
        d->state = IN_LINE;
        if (cr) { /* bare, or the last byte in hand: held back until the next is known */
            emit(d, *run, cr);
            d->state = AFTER_CR;
            *run = cr + 1;
            return cr + 1;
        }
        if (nl) {
            emit(d, *run, nl);
            bare_lf(d);
            *run = nl + 1;
            p = nl + 1;
            continue;
        }
        p = end;
    }
    return p;
}

size_t data_feed(struct smtp_data *d, struct span in, bool *end)
{
    const char *p = in.p, *stop = in.p + in.n, *run = in.p;
    *end = false;
    while (p < stop) {
        switch (d->state) {
        case AT_LINE:
        case IN_LINE:
            p = pass_lines(d, p, stop, &run);
            if (p < stop && d->state == AT_LINE) { /* a dot */
                emit(d, run, p);
                d->state = DOT;
                run = ++p;
            }
            break;
        case AFTER_CR:
            if (*p == '\n') {
                emit_text(d, "\r\n");
                d->state = AT_LINE;
                run = ++p;
            } else {
                bare_cr(d);
                d->state = IN_LINE;
            }
            break;
        case DOT:
            /* RFC 5321 section 4.5.2: the first dot of a line with more on it is deleted. */
            d->state = *p == '\r' ? DOT_CR : IN_LINE;
            if (*p == '\r')
                run = ++p;
            break;
        case DOT_CR:
            if (*p == '\n') {
                d->state = PAST_END;
                *end = true;
                return (size_t)(p + 1 - in.p);
            }
            bare_cr(d);
            d->state = IN_LINE;
            break;
        default:
            *end = true;
            return 0;
        }
    }
    emit(d, run, p);
    return in.n;
}

void data_end(struct smtp_data *d)
{
    if (d->state == AFTER_CR)
        bare_cr(d);
    if (d->state != AT_LINE)
        emit_text(d, "\r\n");
    d->state = PAST_END;
}

void head_begin(struct head_watch *h)
{
    *h = (struct head_watch){.match = true, .empty = true};
}

void head_feed(struct head_watch *h, struct span content)
{
    static const char name[] = "received:";
    const char *p = content.p, *end = content.p + content.n;
    while (p < end && !h->done) {
        char c = *p;
        if (h->match && c != '\n' && ascii_lower(c) == name[h->at]) {
            if (++h->at == sizeof name - 1) {
                h->hops++;
                h->match = false;
            }
        } else if (c != '\n') {
            h->match = false;
        }
        if (c == '\n') {
            h->done = h->empty;
            h->match = h->empty = true;
            h->at = 0;
            p++;
            h->header_bytes++;
            continue;
        }
        if (c != '\r')
            h->empty = false;
        /* Nothing of interest before the end of the line: jump there. */
        const char *next = p + 1;
        if (!h->match && !h->empty) {
            next = memchr(p, '\n', (size_t)(end - p));
            if (!next)
                next = end;
        }
        h->header_bytes += (uint64_t)(next - p);
        p = next;
    }
}

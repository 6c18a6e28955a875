#include "rules/report_wrap.h"

#include "base/buf.h"

static size_t columns(struct span s)
{
    size_t n = s.n;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '\t' ? 7 : 0;
    return n;
}

/* The next piece: up to white space and that by itself or, with commas, a word with what ends it.
 */
static struct span next_piece(struct span *rest, bool commas)
{
    size_t n = 0;
    if (commas) {
        while (n < rest->n && !ascii_isspace(rest->p[n]) && rest->p[n] != ',')
            n++;
        n += n < rest->n;
    } else if (rest->n && ascii_isspace(rest->p[0])) {
        n = 1;
    } else {
        while (n < rest->n && !ascii_isspace(rest->p[n]))
            n++;
    }
    struct span piece = span_sub(*rest, 0, n);
    *rest = span_from(*rest, n);
    return piece;
}

static void strip_end(struct buf *b, size_t from)
{
    while (b->n > from && ascii_isspace(b->p[b->n - 1]))
        b->n--;
}

struct span wrap_text(struct arena *a, struct span text, const struct wrap *w)
{
    struct buf b = {0};
    struct span rest = text;
    bool started = false; /* the line holds more than its first piece */
    if (*w->first)
        buf_str(&b, w->first);
    else
        buf_add(&b, next_piece(&rest, w->commas));
    size_t line = 0, width = columns(buf_span(&b));
    while (rest.n) {
        struct span later = rest, piece = next_piece(&later, w->commas);
        size_t need = width + (started && !w->overflow ? columns(piece) : 0);
        if (need <= w->width || b.n == line) {
            buf_add(&b, piece);
            width += columns(piece);
            started = true;
            rest = later;
            continue;
        }
        strip_end(&b, line);
        buf_char(&b, '\n');
        line = b.n;
        buf_str(&b, w->prefix);
        width = columns(span_str(w->prefix));
        started = false;
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

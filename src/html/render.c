/* Text pieces: white space squeezed, visible or not, and joined at the end (semantics 4.5). */
#include "html/html_private.h"

#include "base/sixteen.h"

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct html_piece *last_piece(struct html_parser *h)
{
    return h->npieces ? &h->pieces[h->npieces - 1] : NULL;
}

static void add_piece(struct html_parser *h, struct html_piece p)
{
    *ARENA_PUSH(h->a, h->pieces, h->npieces, h->pieces_cap) = p;
}

void html_show_space(struct html_parser *h, const char *space)
{
    struct html_piece *last = last_piece(h);
    if (last && !last->space && !last->invisible && last->n && last->p[last->n - 1] == ' ')
        last->n--;
    add_piece(h, (struct html_piece){.p = space, .n = strlen(space), .space = true});
}

/* The two characters U+00C2 U+00A0, a no-break space that was decoded wrongly; their length or 0.
 */
static size_t nbsp(const char *p, const char *end, bool chars)
{
    if (!chars)
        return end - p >= 2 && (unsigned char)p[0] == 0xC2 && (unsigned char)p[1] == 0xA0 ? 2 : 0;
    return end - p >= 4 && memcmp(p, "\xC3\x82\xC2\xA0", 4) == 0 ? 4 : 0;
}

/* Bytes that squeezing has to look at: white space, and the first byte of an nbsp(). */
static const bool special[256] = {['\t'] = true, ['\n'] = true, ['\v'] = true, ['\f'] = true,
                                  ['\r'] = true, [' '] = true,  [0xC2] = true, [0xC3] = true};

/* Where squeezing has to look at next: no single space. */
static const char *next_special(const char *p, const char *end)
{
    const char *from = p;
    for (; end - p > SIXTEEN; p += SIXTEEN) {
        sixteen v = sixteen_at(p), next = sixteen_at(p + 1);
        if (sixteen_any(sixteen_within(v, '\t', '\r') | sixteen_within(v, 0xC2, 0xC3) |
                        (sixteen_is(v, ' ') & sixteen_is(next, ' '))))
            break;
    }
    if (p > from && p[-1] == ' ') /* white space may follow it */
        p--;
    while (p < end && !special[(unsigned char)*p])
        p++;
    return p;
}

/* Runs of white space, and every nbsp(), become one space. */
static struct span squeeze(struct arena *a, struct html_text t)
{
    const char *p = t.s.p, *end = p + t.s.n;
    char *out = NULL, *o = NULL;
    const char *copied = p; /* everything before it stands in out, once there is an out */
    while ((p = next_special(p, end)) < end) {
        size_t n = 0;
        while (p + n < end && is_blank(p[n]))
            n++;
        if (n == 0)
            n = nbsp(p, end, t.chars);
        if (n == 0 || (n == 1 && *p == ' ')) {
            p++;
            continue;
        }
        if (!out)
            out = o = arena_raw(a, t.s.n);
        memcpy(o, copied, (size_t)(p - copied));
        o += p - copied;
        *o++ = ' ';
        copied = p += n;
    }
    if (!out)
        return t.s;
    memcpy(o, copied, (size_t)(end - copied));
    o += end - copied;
    return span_of(out, (size_t)(o - out));
}

static bool is_empty_looking(struct html_text t)
{
    const char *p = t.s.p, *end = p + t.s.n;
    while (p < end) {
        size_t n = is_blank(*p) ? 1 : nbsp(p, end, t.chars);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

/* Neither white space nor ASCII punctuation. */
static bool is_solid(unsigned c, bool chars)
{
    if (c < 0x80)
        return ascii_isalnum((char)c) || c == 0x7F || (c < 0x20 && !is_blank((char)c));
    return !html_is_space(c, chars);
}

enum { BACKHAIR_MAX = 7 };

/* How many solid characters end the piece, when they begin at a word boundary: the longest such run
 * of at most BACKHAIR_MAX; 0 when there is none. */
static unsigned solid_tail(const struct html_piece *t)
{
    const char *p = t->p + t->n;
    unsigned best = 0;
    for (unsigned n = 1; n <= BACKHAIR_MAX && p > t->p; n++) {
        unsigned c = html_previous(&p, t->p, t->chars);
        if (!is_solid(c, t->chars))
            break;
        bool word = html_is_word(c, t->chars), word_before = false;
        if (p > t->p) {
            const char *before = p;
            word_before = html_is_word(html_previous(&before, t->p, t->chars), t->chars);
        }
        if (word != word_before)
            best = n;
    }
    return best;
}

/* How many solid characters begin the text, when they end at a word boundary. */
static unsigned solid_head(struct html_text t)
{
    const char *p = t.s.p, *end = p + t.s.n;
    unsigned best = 0;
    for (unsigned n = 1; n <= BACKHAIR_MAX && p < end; n++) {
        unsigned c = html_next(&p, end, t.chars);
        if (!is_solid(c, t.chars))
            break;
        bool word = html_is_word(c, t.chars), word_after = false;
        if (p < end) {
            const char *after = p;
            word_after = html_is_word(html_next(&after, end, t.chars), t.chars);
        }
        if (word != word_after)
            best = n;
    }
    return best;
}

/* Counts words that tags cut in pieces. */
static void note_obfuscation(struct html_parser *h, struct html_text t)
{
    const struct html_piece *last = last_piece(h);
    if (!last || last->n == 0 || t.s.n == 0)
        return;
    const char *end = last->p + last->n, *start = t.s.p;
    if (!is_solid(html_previous(&end, last->p, last->chars), last->chars) ||
        !is_solid(html_next(&start, t.s.p + t.s.n, t.chars), t.chars))
        return;
    h->obfuscation++;
    unsigned tail = solid_tail(last), head = tail ? solid_head(t) : 0;
    if (head)
        h->backhair |= (uint64_t)1 << ((tail - 1) * BACKHAIR_MAX + head - 1);
}

void html_show_text(struct html_parser *h, struct html_text t)
{
    bool invisible = !is_empty_looking(t) && html_style_hides(h);
    note_obfuscation(h, t);
    struct span s = squeeze(h->a, t);
    const struct html_piece *last = last_piece(h);
    if (last && last->space && !invisible && s.n && s.p[0] == ' ')
        s = span_from(s, 1);
    add_piece(h, (struct html_piece){.p = s.p, .n = s.n, .chars = t.chars, .invisible = invisible});
}

enum which { ALL, VISIBLE, INVISIBLE };

static struct html_text join(struct html_parser *h, enum which which)
{
    struct html_text t = {.chars = false};
    size_t n = 0, bytes = 0;
    for (size_t i = 0; i < h->npieces; i++) {
        const struct html_piece *p = &h->pieces[i];
        if (which != ALL && p->invisible != (which == INVISIBLE))
            continue;
        t.chars |= p->chars;
        n += p->n;
        bytes += p->chars ? 0 : p->n;
    }
    char *out = arena_raw(h->a, n + bytes + 1), *o = out;
    for (size_t i = 0; i < h->npieces; i++) {
        const struct html_piece *p = &h->pieces[i];
        if (p->n == 0 || (which != ALL && p->invisible != (which == INVISIBLE)))
            continue;
        struct span s = span_of(p->p, p->n);
        if (t.chars && !p->chars)
            s = html_upgrade(h->a, s);
        memcpy(o, s.p, s.n);
        o += s.n;
    }
    t.s = span_of(out, (size_t)(o - out));
    return t;
}

/* White space as the ratio wants it: Unicode in character strings, no form feed in byte strings. */
static size_t count_spaces(struct html_text t)
{
    size_t n = 0;
    const char *p = t.s.p, *end = p + t.s.n;
    for (size_t i = 0; i < t.s.n; i++)
        n += (unsigned)(p[i] == ' ') |
             (unsigned)(p[i] >= '\t' && p[i] <= '\r' && (t.chars || p[i] != '\f'));
    while (t.chars && (p += span_ascii_end(span_of(p, (size_t)(end - p)), 0)) < end)
        n += html_is_space(html_next(&p, end, true), true);
    return n;
}

void html_render_finish(struct html_parser *h)
{
    struct html *out = h->out;
    bool any_invisible = false;
    for (size_t i = 0; i < h->npieces; i++)
        any_invisible |= h->pieces[i].invisible;
    out->text = join(h, ALL);
    out->visible = any_invisible ? join(h, VISIBLE) : out->text;
    out->invisible = any_invisible ? join(h, INVISIBLE) : (struct html_text){SPAN(""), false};
    out->html_length = (double)html_count(out->text);
    out->non_space_len = out->html_length - (double)count_spaces(out->text);
}

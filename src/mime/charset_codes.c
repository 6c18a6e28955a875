/* Charsets by tables of codes (one or two bytes) and what they mean, with Encode's ways: one byte
 * is given up where something means nothing, and half a code at the end is dropped. */
#include "mime/charset_private.h"
#include "mime/mime_private.h"

struct charset_buf {
    struct arena *a;
    char *p;
    size_t n, cap;
};

static void put(struct charset_buf *o, struct span text)
{
    if (o->cap - o->n < text.n) {
        size_t want = o->cap * 2 + text.n + 64;
        o->p = arena_grow(o->a, o->p, o->cap, want);
        o->cap = want;
    }
    memcpy(o->p + o->n, text.p, text.n);
    o->n += text.n;
}

static size_t utf8_length(char lead)
{
    unsigned char c = (unsigned char)lead;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

const struct charset_run *charset_run_of(const struct charset_runs *runs, uint32_t code)
{
    size_t low = 0, high = runs->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        const struct charset_run *r = &runs->v[mid];
        if (code < r->first)
            high = mid;
        else if (code >= r->first + r->n)
            low = mid + 1;
        else
            return r;
    }
    return NULL;
}

static uint32_t utf8_value(struct span c)
{
    uint32_t v = (unsigned char)c.p[0];
    if (c.n > 1)
        v &= 0x7fu >> c.n;
    for (size_t i = 1; i < c.n; i++)
        v = v << 6 | ((unsigned char)c.p[i] & 0x3f);
    return v;
}

struct span charset_run_text(const struct charset_run *run, uint32_t code, char buf[4])
{
    struct span text = span_str(run->text);
    uint32_t skip = code - run->first;
    if (run->n == 1 || !text.n)
        return text;
    if (text.n == utf8_length(text.p[0]))
        return span_of(buf, put_utf8(buf, utf8_value(text) + skip));
    for (; skip; skip--)
        text = span_from(text, utf8_length(text.p[0]));
    return span_sub(text, 0, utf8_length(text.p[0]));
}

/* Whether any code of two bytes begins with this one. */
static bool is_lead(const struct charset_runs *runs, unsigned char byte)
{
    uint32_t from = (uint32_t)byte << 8;
    size_t low = 0, high = runs->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (runs->v[mid].first + runs->v[mid].n <= from)
            low = mid + 1;
        else
            high = mid;
    }
    return from && low < runs->n && runs->v[low].first < from + 0x100;
}

/* The code of n bytes; SPAN_NONE when it means nothing. */
static struct span meaning(const struct charset_runs *runs, const char *p, size_t n, char buf[4])
{
    uint32_t code = (unsigned char)p[0];
    if (n == 2)
        code = code << 8 | (unsigned char)p[1];
    if (code == 0 && runs->v[0].first == 1)
        return span_of("\0", 1);
    const struct charset_run *run = charset_run_of(runs, code);
    return run ? charset_run_text(run, code, buf) : SPAN_NONE;
}

struct span charset_by_codes(struct arena *a, struct span s, const struct charset_runs *runs,
                             bool strict)
{
    struct charset_buf o = {.a = a};
    char buf[4];
    while (s.n) {
        size_t n = 1;
        struct span text = meaning(runs, s.p, 1, buf);
        if (!text.p && is_lead(runs, (unsigned char)s.p[0])) {
            if (s.n < 2)
                break;
            n = 2;
            text = meaning(runs, s.p, 2, buf);
        }
        if (!text.p) {
            if (strict)
                return SPAN_NONE;
            n = 1;
            text = SPAN("\xef\xbf\xbd");
        }
        put(&o, text);
        s = span_from(s, n);
    }
    return span_of(o.p ? o.p : "", o.n);
}

struct span charset_by_raised(struct arena *a, struct span s, const struct charset *euc,
                              bool strict)
{
    char *raised = arena_raw(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++) /* 0xff means nothing in any of them */
        raised[i] = (char)(s.p[i] >= 0x21 && s.p[i] <= 0x7e ? s.p[i] | 0x80 : 0xff);
    return charset_by_icu(a, span_of(raised, s.n), euc->icu,
                          strict ? ON_ERROR_FAIL : ON_ERROR_REPLACE);
}

/* --- The alphabet of short messages (GSM 03.38) --- */

/* Latin-1 where that is enough. */
static struct span narrowed(struct span utf8)
{
    char *out = (char *)utf8.p;
    size_t n = 0;
    for (size_t i = 0, length; i < utf8.n; i += length) {
        length = utf8_length(utf8.p[i]);
        out[n++] = (char)utf8_value(span_sub(utf8, i, i + length));
    }
    return span_of(out, n);
}

struct span charset_by_gsm(struct arena *a, struct span s, const struct charset_runs *runs,
                           bool strict, bool *chars)
{
    struct charset_buf o = {.a = a};
    char buf[4];
    *chars = false;
    while (s.n) {
        size_t n = 1;
        while (n < s.n && s.p[n - 1] == '\033')
            n++;
        struct span text = n <= 2 ? meaning(runs, s.p, n, buf) : SPAN_NONE;
        if (!text.p && strict)
            return SPAN_NONE;
        if (!text.p)
            text = SPAN("\xef\xbf\xbd");
        *chars |= (unsigned char)text.p[0] > 0xc3;
        put(&o, text);
        s = span_from(s, n);
    }
    struct span text = span_of(o.p ? o.p : "", o.n);
    return *chars || !strict ? text : narrowed(text);
}

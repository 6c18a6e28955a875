#include "base/json.h"

#include <math.h>

#include "base/utf8.h"

void json_quoted(struct buf *b, struct span s)
{
    buf_char(b, '"');
    for (size_t i = 0; i < s.n;) {
        size_t plain = i;
        while (plain < s.n && s.p[plain] >= ' ' && s.p[plain] < 0x7f && s.p[plain] != '"' &&
               s.p[plain] != '\\')
            plain++;
        buf_add(b, span_sub(s, i, plain));
        i = plain;
        if (i == s.n)
            break;
        unsigned char c = (unsigned char)s.p[i];
        size_t n = c >= 0x80 ? utf8_length(span_from(s, i)) : 1;
        if (n == 0 || c == 0)
            buf_str(b, UTF8_REPLACEMENT);
        else if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c < ' ' || c == 0x7f)
            buf_printf(b, "\\u%04x", c);
        else
            buf_add(b, span_sub(s, i, i + n));
        i += n ? n : 1;
    }
    buf_char(b, '"');
}

static void member(struct buf *b, const char *key)
{
    char last = b->n ? b->p[b->n - 1] : '{';
    if (last != '{' && last != '[')
        buf_char(b, ',');
    if (key) {
        json_quoted(b, span_str(key));
        buf_char(b, ':');
    }
}

void json_open(struct buf *b, const char *key, char kind)
{
    if (b->n)
        member(b, key);
    buf_char(b, kind);
}

void json_close(struct buf *b, char kind)
{
    buf_char(b, kind == '{' ? '}' : ']');
}

void json_text(struct buf *b, const char *key, struct span s)
{
    if (!s.p)
        return;
    member(b, key);
    json_quoted(b, s);
}

void json_number(struct buf *b, const char *key, double v)
{
    member(b, key);
    if (isfinite(v))
        buf_printf(b, "%.6g", v);
    else
        buf_str(b, "null");
}

void json_count(struct buf *b, const char *key, uint64_t v)
{
    member(b, key);
    buf_printf(b, "%llu", (unsigned long long)v);
}

void json_flag(struct buf *b, const char *key, bool v)
{
    member(b, key);
    buf_str(b, v ? "true" : "false");
}

#include "auth/name.h"

#include <idn2.h>
#include <stdlib.h>

bool name_fits(struct span s)
{
    if (span_ends(s, SPAN(".")))
        s.n--;
    if (s.n == 0 || s.n > NAME_MAX_BYTES)
        return false;
    size_t label = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\0')
            return false;
        if (s.p[i] != '.') {
            if (++label > NAME_LABEL_MAX)
                return false;
        } else if (label == 0) {
            return false;
        } else {
            label = 0;
        }
    }
    return label > 0;
}

static bool plain(struct span s, bool *ascii)
{
    *ascii = true;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c == 0x7f)
            return false;
        if (c >= 0x80)
            *ascii = false;
    }
    return true;
}

/* Four bytes of UTF-8 may stand for one letter of an A-label, not more. */
enum { UNICODE_MAX = NAME_MAX_BYTES * 4 };

bool name_canonical(struct arena *a, struct span in, struct span *out)
{
    bool ascii;
    if (in.n == 0 || in.n > UNICODE_MAX || !plain(in, &ascii))
        return false;
    struct span s = SPAN_NONE;
    if (ascii) {
        s = arena_lower(a, in);
    } else {
        uint8_t *mapped = NULL;
        const uint8_t *text = (const uint8_t *)arena_cstr(a, in);
        if (idn2_lookup_u8(text, &mapped, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
            return false;
        s = arena_lower(a, span_str((const char *)mapped));
        idn2_free(mapped);
    }
    if (!name_fits(s))
        return false;
    if (span_ends(s, SPAN(".")))
        s.n--;
    *out = s;
    return true;
}

bool name_from_wire(struct arena *a, struct span rdata, struct span *out)
{
    char text[NAME_MAX_BYTES + 1];
    size_t n = 0, at = 0;
    for (;;) {
        size_t label = at < rdata.n ? (unsigned char)rdata.p[at] : NAME_LABEL_MAX + 1;
        at++;
        if (label == 0)
            break;
        if (label > NAME_LABEL_MAX || label > rdata.n - at || n + label + 1 > sizeof text)
            return false;
        struct span s = span_sub(rdata, at, at + label);
        if (span_find(s, '.') != SIZE_MAX || span_find(s, '\0') != SIZE_MAX)
            return false;
        memcpy(text + n, s.p, label);
        n += label;
        text[n++] = '.';
        at += label;
    }
    if (n == 0)
        return false;
    *out = arena_lower(a, span_of(text, n - 1));
    return true;
}

size_t name_labels(struct span s)
{
    size_t n = s.n > 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '.';
    return n;
}

struct span name_tail(struct span s, size_t n)
{
    for (size_t i = s.n; i > 0; i--)
        if (s.p[i - 1] == '.' && --n == 0)
            return span_from(s, i);
    return s;
}

bool name_below(struct span name, struct span parent)
{
    return span_eq(name, parent) ||
           (name.n > parent.n && span_ends(name, parent) && name.p[name.n - parent.n - 1] == '.');
}

/* Character references, decoded as HTML::Parser does it (semantics 4.4). */
#include "html/html_private.h"

/* HTML 4, sorted; Latin-1 names may come without their semicolon. */
/* clang-format off */
static const struct entity {
    char name[9];
    uint16_t code;
    bool needs_semicolon;
} entities[] = {
    {"AElig", 198, 0}, {"Aacute", 193, 0}, {"Acirc", 194, 0}, {"Agrave", 192, 0},
    {"Alpha", 913, 1}, {"Aring", 197, 0}, {"Atilde", 195, 0}, {"Auml", 196, 0}, {"Beta", 914, 1},
    {"Ccedil", 199, 0}, {"Chi", 935, 1}, {"Dagger", 8225, 1}, {"Delta", 916, 1}, {"ETH", 208, 0},
    {"Eacute", 201, 0}, {"Ecirc", 202, 0}, {"Egrave", 200, 0}, {"Epsilon", 917, 1},
    {"Eta", 919, 1}, {"Euml", 203, 0}, {"Gamma", 915, 1}, {"Iacute", 205, 0}, {"Icirc", 206, 0},
    {"Igrave", 204, 0}, {"Iota", 921, 1}, {"Iuml", 207, 0}, {"Kappa", 922, 1}, {"Lambda", 923, 1},
    {"Mu", 924, 1}, {"Ntilde", 209, 0}, {"Nu", 925, 1}, {"OElig", 338, 1}, {"Oacute", 211, 0},
    {"Ocirc", 212, 0}, {"Ograve", 210, 0}, {"Omega", 937, 1}, {"Omicron", 927, 1},
    {"Oslash", 216, 0}, {"Otilde", 213, 0}, {"Ouml", 214, 0}, {"Phi", 934, 1}, {"Pi", 928, 1},
    {"Prime", 8243, 1}, {"Psi", 936, 1}, {"Rho", 929, 1}, {"Scaron", 352, 1}, {"Sigma", 931, 1},
    {"THORN", 222, 0}, {"Tau", 932, 1}, {"Theta", 920, 1}, {"Uacute", 218, 0}, {"Ucirc", 219, 0},
    {"Ugrave", 217, 0}, {"Upsilon", 933, 1}, {"Uuml", 220, 0}, {"Xi", 926, 1}, {"Yacute", 221, 0},
    {"Yuml", 376, 1}, {"Zeta", 918, 1}, {"aacute", 225, 0}, {"acirc", 226, 0}, {"acute", 180, 0},
    {"aelig", 230, 0}, {"agrave", 224, 0}, {"alefsym", 8501, 1}, {"alpha", 945, 1},
    {"amp", 38, 0}, {"and", 8743, 1}, {"ang", 8736, 1}, {"apos", 39, 0}, {"aring", 229, 0},
    {"asymp", 8776, 1}, {"atilde", 227, 0}, {"auml", 228, 0}, {"bdquo", 8222, 1},
    {"beta", 946, 1}, {"brvbar", 166, 0}, {"bull", 8226, 1}, {"cap", 8745, 1}, {"ccedil", 231, 0},
    {"cedil", 184, 0}, {"cent", 162, 0}, {"chi", 967, 1}, {"circ", 710, 1}, {"clubs", 9827, 1},
    {"cong", 8773, 1}, {"copy", 169, 0}, {"crarr", 8629, 1}, {"cup", 8746, 1}, {"curren", 164, 0},
    {"dArr", 8659, 1}, {"dagger", 8224, 1}, {"darr", 8595, 1}, {"deg", 176, 0}, {"delta", 948, 1},
    {"diams", 9830, 1}, {"divide", 247, 0}, {"eacute", 233, 0}, {"ecirc", 234, 0},
    {"egrave", 232, 0}, {"empty", 8709, 1}, {"emsp", 8195, 1}, {"ensp", 8194, 1},
    {"epsilon", 949, 1}, {"equiv", 8801, 1}, {"eta", 951, 1}, {"eth", 240, 0}, {"euml", 235, 0},
    {"euro", 8364, 1}, {"exist", 8707, 1}, {"fnof", 402, 1}, {"forall", 8704, 1},
    {"frac12", 189, 0}, {"frac14", 188, 0}, {"frac34", 190, 0}, {"frasl", 8260, 1},
    {"gamma", 947, 1}, {"ge", 8805, 1}, {"gt", 62, 0}, {"hArr", 8660, 1}, {"harr", 8596, 1},
    {"hearts", 9829, 1}, {"hellip", 8230, 1}, {"iacute", 237, 0}, {"icirc", 238, 0},
    {"iexcl", 161, 0}, {"igrave", 236, 0}, {"image", 8465, 1}, {"infin", 8734, 1},
    {"int", 8747, 1}, {"iota", 953, 1}, {"iquest", 191, 0}, {"isin", 8712, 1}, {"iuml", 239, 0},
    {"kappa", 954, 1}, {"lArr", 8656, 1}, {"lambda", 955, 1}, {"lang", 9001, 1},
    {"laquo", 171, 0}, {"larr", 8592, 1}, {"lceil", 8968, 1}, {"ldquo", 8220, 1}, {"le", 8804, 1},
    {"lfloor", 8970, 1}, {"lowast", 8727, 1}, {"loz", 9674, 1}, {"lrm", 8206, 1},
    {"lsaquo", 8249, 1}, {"lsquo", 8216, 1}, {"lt", 60, 0}, {"macr", 175, 0}, {"mdash", 8212, 1},
    {"micro", 181, 0}, {"middot", 183, 0}, {"minus", 8722, 1}, {"mu", 956, 1}, {"nabla", 8711, 1},
    {"nbsp", 160, 0}, {"ndash", 8211, 1}, {"ne", 8800, 1}, {"ni", 8715, 1}, {"not", 172, 0},
    {"notin", 8713, 1}, {"nsub", 8836, 1}, {"ntilde", 241, 0}, {"nu", 957, 1}, {"oacute", 243, 0},
    {"ocirc", 244, 0}, {"oelig", 339, 1}, {"ograve", 242, 0}, {"oline", 8254, 1},
    {"omega", 969, 1}, {"omicron", 959, 1}, {"oplus", 8853, 1}, {"or", 8744, 1}, {"ordf", 170, 0},
    {"ordm", 186, 0}, {"oslash", 248, 0}, {"otilde", 245, 0}, {"otimes", 8855, 1},
    {"ouml", 246, 0}, {"para", 182, 0}, {"part", 8706, 1}, {"permil", 8240, 1}, {"perp", 8869, 1},
    {"phi", 966, 1}, {"pi", 960, 1}, {"piv", 982, 1}, {"plusmn", 177, 0}, {"pound", 163, 0},
    {"prime", 8242, 1}, {"prod", 8719, 1}, {"prop", 8733, 1}, {"psi", 968, 1}, {"quot", 34, 0},
    {"rArr", 8658, 1}, {"radic", 8730, 1}, {"rang", 9002, 1}, {"raquo", 187, 0},
    {"rarr", 8594, 1}, {"rceil", 8969, 1}, {"rdquo", 8221, 1}, {"real", 8476, 1}, {"reg", 174, 0},
    {"rfloor", 8971, 1}, {"rho", 961, 1}, {"rlm", 8207, 1}, {"rsaquo", 8250, 1},
    {"rsquo", 8217, 1}, {"sbquo", 8218, 1}, {"scaron", 353, 1}, {"sdot", 8901, 1},
    {"sect", 167, 0}, {"shy", 173, 0}, {"sigma", 963, 1}, {"sigmaf", 962, 1}, {"sim", 8764, 1},
    {"spades", 9824, 1}, {"sub", 8834, 1}, {"sube", 8838, 1}, {"sum", 8721, 1}, {"sup", 8835, 1},
    {"sup1", 185, 0}, {"sup2", 178, 0}, {"sup3", 179, 0}, {"supe", 8839, 1}, {"szlig", 223, 0},
    {"tau", 964, 1}, {"there4", 8756, 1}, {"theta", 952, 1}, {"thetasym", 977, 1},
    {"thinsp", 8201, 1}, {"thorn", 254, 0}, {"tilde", 732, 1}, {"times", 215, 0},
    {"trade", 8482, 1}, {"uArr", 8657, 1}, {"uacute", 250, 0}, {"uarr", 8593, 1},
    {"ucirc", 251, 0}, {"ugrave", 249, 0}, {"uml", 168, 0}, {"upsih", 978, 1},
    {"upsilon", 965, 1}, {"uuml", 252, 0}, {"weierp", 8472, 1}, {"xi", 958, 1},
    {"yacute", 253, 0}, {"yen", 165, 0}, {"yuml", 255, 0}, {"zeta", 950, 1}, {"zwj", 8205, 1},
    {"zwnj", 8204, 1},
};
/* clang-format on */

enum { LONGEST_NAME = 8, REPLACEMENT = 0xFFFD };

static const struct entity *entity_find(struct span name)
{
    if (name.n > LONGEST_NAME)
        return NULL;
    size_t low = 0, high = sizeof entities / sizeof *entities;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = span_cmp(name, span_str(entities[mid].name));
        if (c == 0)
            return &entities[mid];
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

struct decoder {
    const char *s, *end;
    char *out, *t;
    bool chars;
    unsigned high_surrogate;
};

static void put(struct decoder *d, unsigned c)
{
    if (c < 0x80 || !d->chars) {
        *d->t++ = (char)c;
    } else if (c < 0x800) {
        *d->t++ = (char)(0xC0 | c >> 6);
        *d->t++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *d->t++ = (char)(0xE0 | c >> 12);
        *d->t++ = (char)(0x80 | (c >> 6 & 0x3F));
        *d->t++ = (char)(0x80 | (c & 0x3F));
    } else {
        *d->t++ = (char)(0xF0 | c >> 18);
        *d->t++ = (char)(0x80 | (c >> 12 & 0x3F));
        *d->t++ = (char)(0x80 | (c >> 6 & 0x3F));
        *d->t++ = (char)(0x80 | (c & 0x3F));
    }
}

/* The number behind "&#"; false when there is none, or it is beyond Unicode. A NUL counts as the
 * hexadecimal digit 0, as strchr() finds it. */
static bool number(struct decoder *d, unsigned *out)
{
    unsigned v = 0, base = 10;
    bool ok = false;
    if (d->s < d->end && (*d->s == 'x' || *d->s == 'X')) {
        base = 16;
        d->s++;
    }
    for (; d->s < d->end; d->s++) {
        int digit = *d->s == '\0' && base == 16 ? 0 : ascii_hex(*d->s);
        if (digit < 0 || digit >= (int)base)
            break;
        v = v * base + (unsigned)digit;
        if (v > 0x10FFFF)
            return false;
        ok = true;
    }
    *out = v;
    return ok && v;
}

/* A surrogate pair becomes one character: the first half was written as U+FFFD and is taken back.
 */
static unsigned surrogate(struct decoder *d, unsigned c)
{
    if ((c & 0xFFFFFC00) == 0xDC00) {
        if (!d->high_surrogate)
            return REPLACEMENT;
        d->t -= 3;
        c = ((d->high_surrogate - 0xD800) << 10) + (c - 0xDC00) + 0x10000;
        d->high_surrogate = 0;
        return c;
    }
    d->high_surrogate = (c & 0xFFFFFC00) == 0xD800 ? c : 0;
    bool noncharacter = (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE;
    return d->high_surrogate || noncharacter ? REPLACEMENT : c;
}

static void upgrade(struct decoder *d, struct arena *a)
{
    /* All that was copied and all that is still to come may double. */
    size_t n = (size_t)(d->t - d->out), rest = (size_t)(d->end - d->s);
    char *out = arena_raw(a, (n + rest) * 2 + 4);
    struct span rest_up = html_upgrade(a, span_of(d->s, rest));
    struct decoder w = {.t = out, .chars = true};
    for (size_t i = 0; i < n; i++)
        put(&w, (unsigned char)d->out[i]);
    d->out = out;
    d->t = w.t;
    d->s = rest_up.p;
    d->end = rest_up.p + rest_up.n;
    d->chars = true;
}

static bool named(struct decoder *d, bool prefix, unsigned *out)
{
    const char *name = d->s;
    while (d->s < d->end && (ascii_isalnum(*d->s) || *d->s == '_'))
        d->s++;
    size_t n = (size_t)(d->s - name);
    const struct entity *e = entity_find(span_of(name, n));
    if (e && (!e->needs_semicolon || (d->s < d->end && *d->s == ';'))) {
        *out = e->code;
        return n > 0;
    }
    if (!prefix || n == 0)
        return false;
    for (size_t k = n - 1 > LONGEST_NAME ? LONGEST_NAME : n - 1; k > 0; k--) {
        e = entity_find(span_of(name, k));
        if (e && !e->needs_semicolon) {
            *out = e->code;
            d->s = name + k;
            return true;
        }
    }
    return false;
}

/* The reference behind an '&' that is already copied; copies it as it is when it means nothing. */
static void reference(struct decoder *d, struct arena *a, bool prefix)
{
    const char *start = d->s;
    unsigned c;
    bool ok;
    if (d->s < d->end && *d->s == '#') {
        d->s++;
        ok = number(d, &c) && ((!d->chars && c <= 255) || (c != 0xFFFE && c != 0xFFFF));
        if (ok && (d->chars || c > 255))
            c = surrogate(d, c);
    } else {
        ok = named(d, prefix, &c);
        d->high_surrogate = 0;
    }
    if (!ok) {
        memcpy(d->t, start, (size_t)(d->s - start));
        d->t += d->s - start;
        return;
    }
    if (d->s < d->end && *d->s == ';')
        d->s++;
    d->t--;
    if (d->s == d->end || *d->s != '&')
        d->high_surrogate = 0;
    if (c > 255 && !d->chars)
        upgrade(d, a);
    put(d, c);
}

struct html_text html_decode(struct arena *a, struct span raw, bool chars, bool prefix)
{
    const char *amp = raw.n ? memchr(raw.p, '&', raw.n) : NULL;
    if (!amp)
        return (struct html_text){raw, chars};
    /* No reference is shorter than the UTF-8 of what it means. */
    char *out = arena_raw(a, raw.n);
    struct decoder d = {raw.p, raw.p + raw.n, out, out, chars, 0};
    while (amp) {
        size_t n = (size_t)(amp - d.s) + 1;
        memcpy(d.t, d.s, n);
        d.t += n;
        d.s += n;
        reference(&d, a, prefix);
        amp = d.s < d.end ? memchr(d.s, '&', (size_t)(d.end - d.s)) : NULL;
    }
    memcpy(d.t, d.s, (size_t)(d.end - d.s));
    d.t += d.end - d.s;
    return (struct html_text){span_of(d.out, (size_t)(d.t - d.out)), d.chars};
}

/* Whether Perl takes bytes for UTF-8 when it is asked nicely: any code point in its shortest form,
 * surrogates and those beyond Unicode too. */
static bool is_loose_utf8(struct span s)
{
    /* The least first continuation byte of forms that would be longer than needed. */
    static const unsigned char least[256] = {
        [0xE0] = 0xA0, [0xF0] = 0x90, [0xF8] = 0x88, [0xFC] = 0x84, [0xFE] = 0x82};
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i++];
        if (c < 0x80)
            continue;
        if (c < 0xC2 || c == 0xFF) /* 0xFF begins thirteen bytes: nobody's text */
            return false;
        int more = c < 0xE0 ? 1 : c < 0xF0 ? 2 : c < 0xF8 ? 3 : c < 0xFC ? 4 : c < 0xFE ? 5 : 6;
        if (s.n - i < (size_t)more || (unsigned char)s.p[i] < least[c])
            return false;
        while (more--)
            if (((unsigned char)s.p[i++] & 0xC0) != 0x80)
                return false;
    }
    return true;
}

struct html_text html_decode_in(const struct html_parser *h, struct span raw, bool prefix)
{
    if (!h->octets)
        return html_decode(h->a, raw, h->chars, prefix);
    if (!is_loose_utf8(raw))
        raw = html_upgrade(h->a, raw);
    return (struct html_text){html_decode(h->a, raw, true, prefix).s, false};
}

/* Colours as SpamAssassin reads them (semantics 4.5). */
#include "html/html_private.h"

#include <math.h>
#include <stdio.h>

/* CSS 3, sorted. */
/* clang-format off */
static const struct color {
    const char *name;
    int32_t rgb;
} colors[] = {
    {"aliceblue", 0xf0f8ff}, {"antiquewhite", 0xfaebd7}, {"aqua", 0x00ffff},
    {"aquamarine", 0x7fffd4}, {"azure", 0xf0ffff}, {"beige", 0xf5f5dc}, {"bisque", 0xffe4c4},
    {"black", 0x000000}, {"blanchedalmond", 0xffebcd}, {"blue", 0x0000ff},
    {"blueviolet", 0x8a2be2}, {"brown", 0xa52a2a}, {"burlywood", 0xdeb887},
    {"cadetblue", 0x5f9ea0}, {"chartreuse", 0x7fff00}, {"chocolate", 0xd2691e},
    {"coral", 0xff7f50}, {"cornflowerblue", 0x6495ed}, {"cornsilk", 0xfff8dc},
    {"crimson", 0xdc143c}, {"cyan", 0x00ffff}, {"darkblue", 0x00008b}, {"darkcyan", 0x008b8b},
    {"darkgoldenrod", 0xb8860b}, {"darkgray", 0xa9a9a9}, {"darkgreen", 0x006400},
    {"darkgrey", 0xa9a9a9}, {"darkkhaki", 0xbdb76b}, {"darkmagenta", 0x8b008b},
    {"darkolivegreen", 0x556b2f}, {"darkorange", 0xff8c00}, {"darkorchid", 0x9932cc},
    {"darkred", 0x8b0000}, {"darksalmon", 0xe9967a}, {"darkseagreen", 0x8fbc8f},
    {"darkslateblue", 0x483d8b}, {"darkslategray", 0x2f4f4f}, {"darkslategrey", 0x2f4f4f},
    {"darkturquoise", 0x00ced1}, {"darkviolet", 0x9400d3}, {"deeppink", 0xff1493},
    {"deepskyblue", 0x00bfff}, {"dimgray", 0x696969}, {"dimgrey", 0x696969},
    {"dodgerblue", 0x1e90ff}, {"firebrick", 0xb22222}, {"floralwhite", 0xfffaf0},
    {"forestgreen", 0x228b22}, {"fuchsia", 0xff00ff}, {"gainsboro", 0xdcdcdc},
    {"ghostwhite", 0xf8f8ff}, {"gold", 0xffd700}, {"goldenrod", 0xdaa520}, {"gray", 0x808080},
    {"green", 0x008000}, {"greenyellow", 0xadff2f}, {"grey", 0x808080}, {"honeydew", 0xf0fff0},
    {"hotpink", 0xff69b4}, {"indianred", 0xcd5c5c}, {"indigo", 0x4b0082}, {"ivory", 0xfffff0},
    {"khaki", 0xf0e68c}, {"lavender", 0xe6e6fa}, {"lavenderblush", 0xfff0f5},
    {"lawngreen", 0x7cfc00}, {"lemonchiffon", 0xfffacd}, {"lightblue", 0xadd8e6},
    {"lightcoral", 0xf08080}, {"lightcyan", 0xe0ffff}, {"lightgoldenrodyellow", 0xfafad2},
    {"lightgray", 0xd3d3d3}, {"lightgreen", 0x90ee90}, {"lightgrey", 0xd3d3d3},
    {"lightpink", 0xffb6c1}, {"lightsalmon", 0xffa07a}, {"lightseagreen", 0x20b2aa},
    {"lightskyblue", 0x87cefa}, {"lightslategray", 0x778899}, {"lightslategrey", 0x778899},
    {"lightsteelblue", 0xb0c4de}, {"lightyellow", 0xffffe0}, {"lime", 0x00ff00},
    {"limegreen", 0x32cd32}, {"linen", 0xfaf0e6}, {"magenta", 0xff00ff}, {"maroon", 0x800000},
    {"mediumaquamarine", 0x66cdaa}, {"mediumblue", 0x0000cd}, {"mediumorchid", 0xba55d3},
    {"mediumpurple", 0x9370db}, {"mediumseagreen", 0x3cb371}, {"mediumslateblue", 0x7b68ee},
    {"mediumspringgreen", 0x00fa9a}, {"mediumturquoise", 0x48d1cc}, {"mediumvioletred", 0xc71585},
    {"midnightblue", 0x191970}, {"mintcream", 0xf5fffa}, {"mistyrose", 0xffe4e1},
    {"moccasin", 0xffe4b5}, {"navajowhite", 0xffdead}, {"navy", 0x000080}, {"oldlace", 0xfdf5e6},
    {"olive", 0x808000}, {"olivedrab", 0x6b8e23}, {"orange", 0xffa500}, {"orangered", 0xff4500},
    {"orchid", 0xda70d6}, {"palegoldenrod", 0xeee8aa}, {"palegreen", 0x98fb98},
    {"paleturquoise", 0xafeeee}, {"palevioletred", 0xdb7093}, {"papayawhip", 0xffefd5},
    {"peachpuff", 0xffdab9}, {"peru", 0xcd853f}, {"pink", 0xffc0cb}, {"plum", 0xdda0dd},
    {"powderblue", 0xb0e0e6}, {"purple", 0x800080}, {"red", 0xff0000}, {"rosybrown", 0xbc8f8f},
    {"royalblue", 0x4169e1}, {"saddlebrown", 0x8b4513}, {"salmon", 0xfa8072},
    {"sandybrown", 0xf4a460}, {"seagreen", 0x2e8b57}, {"seashell", 0xfff5ee},
    {"sienna", 0xa0522d}, {"silver", 0xc0c0c0}, {"skyblue", 0x87ceeb}, {"slateblue", 0x6a5acd},
    {"slategray", 0x708090}, {"slategrey", 0x708090}, {"snow", 0xfffafa},
    {"springgreen", 0x00ff7f}, {"steelblue", 0x4682b4}, {"tan", 0xd2b48c}, {"teal", 0x008080},
    {"thistle", 0xd8bfd8}, {"tomato", 0xff6347}, {"turquoise", 0x40e0d0}, {"violet", 0xee82ee},
    {"wheat", 0xf5deb3}, {"white", 0xffffff}, {"whitesmoke", 0xf5f5f5}, {"yellow", 0xffff00},
    {"yellowgreen", 0x9acd32},
};
/* clang-format on */

enum { LONGEST_NAME = 20 };

static bool color_name(struct span name, int32_t *rgb)
{
    size_t low = 0, high = sizeof colors / sizeof *colors;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = span_cmp(name, span_str(colors[mid].name));
        if (c == 0) {
            *rgb = colors[mid].rgb;
            return true;
        }
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return false;
}

/* "12%, 5%, 7%)" behind "rgb(": three numbers; percent tells which form. */
static bool triple(struct span s, bool percent, double v[3])
{
    size_t i = 0;
    for (int k = 0; k < 3; k++) {
        if (k)
            while (i < s.n && ascii_isspace(s.p[i]))
                i++;
        size_t start = i;
        v[k] = 0;
        for (; i < s.n && ascii_isdigit(s.p[i]); i++)
            v[k] = v[k] * 10 + (s.p[i] - '0');
        if (i == start || (percent && (i == s.n || s.p[i++] != '%')))
            return false;
        if (k < 2 && (i == s.n || s.p[i++] != ','))
            return false;
    }
    while (i < s.n && ascii_isspace(s.p[i]))
        i++;
    return i < s.n && s.p[i] == ')';
}

/* At least two hexadecimal digits, more when the number is larger than a byte. */
static size_t hex(char out[17], double v)
{
    unsigned long n = v >= 18446744073709551615.0 ? ~0ul : (unsigned long)v;
    return (size_t)snprintf(out, 17, "%02lx", n);
}

/* The first "rgb(...)" of that form as hexadecimal digits; 0 when there is none. */
static size_t rgb_digits(struct span s, bool percent, char out[52])
{
    static const struct span open = {"rgb(", 4};
    for (size_t at; (at = span_search(s, open)) != SIZE_MAX; s = span_from(s, at + open.n)) {
        double v[3];
        if (!triple(span_from(s, at + open.n), percent, v))
            continue;
        size_t n = 0;
        for (int k = 0; k < 3; k++)
            n += hex(out + n, percent ? floor(v[k] / 100 * 255) : v[k]);
        return n;
    }
    return 0;
}

/* [#a-f0-9]* as a whole, or something with rgb([0-9%, ]*) in it. */
static bool looks_like_color(struct span s)
{
    size_t i = 0;
    while (i < s.n && (s.p[i] == '#' || ascii_hex(s.p[i]) >= 0))
        i++;
    if (i == s.n)
        return true;
    static const struct span open = {"rgb(", 4};
    for (size_t at; (at = span_search(s, open)) != SIZE_MAX; s = span_from(s, at + open.n)) {
        for (i = at + open.n; i < s.n && (ascii_isdigit(s.p[i]) || strchr("%, ", s.p[i])); i++)
            if (s.p[i] == '\0')
                break;
        if (i < s.n && s.p[i] == ')')
            return true;
    }
    return false;
}

/* Hexadecimal digits of any number as a colour: six count; four and five are cut to three. */
static int32_t from_digits(struct span s)
{
    char d[7];
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < 6; i++)
        if (ascii_hex(s.p[i]) >= 0)
            d[n++] = s.p[i];
    if (n == 0)
        return COLOR_EMPTY;
    if (n > 3 && n < 6)
        n = 3;
    for (; n < 3; n++)
        d[n] = '0';
    int32_t rgb = 0;
    for (size_t i = 0; i < n; i++) {
        int v = ascii_hex(d[i]);
        rgb = n == 3 ? rgb << 8 | v << 4 | v : rgb << 4 | v;
    }
    return rgb;
}

int32_t html_color(struct arena *a, struct span value)
{
    char digits[52];
    int32_t rgb;
    value = span_trim(value);
    struct span s = arena_lower(a, value);
    if (s.n <= LONGEST_NAME && color_name(s, &rgb))
        return rgb;
    if (!looks_like_color(s))
        return COLOR_INVALID;
    size_t n = rgb_digits(s, true, digits);
    if (!n)
        n = rgb_digits(s, false, digits);
    if (n)
        return from_digits(span_of(digits, n));
    return s.n && s.p[0] == '#' ? from_digits(s) : COLOR_INVALID;
}

/* HTML as Razor's agents take it away: any text in which a tag of their list is found loses all
 * that stands between '<' and '>', header included. */
#include "digests/razor_private.h"

/* Entities of Latin-1 in the order of their codes from 160 on. */
static const char latin1[] =
    "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn "
    "sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave "
    "Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml "
    "ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN "
    "szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave "
    "iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute "
    "ucirc uuml yacute thorn yuml";
static const char tags[] =
    "html body a font table head base meta td tr style img object br b i span div form input "
    "button "
    "frame iframe tbody col th hr xml script pre param applet center area map em embed xmp sub sup";

static char at(struct span s, size_t i)
{
    return i < s.n ? s.p[i] : '\0';
}

/* A tag at s, which begins with '<': its name in lower case; where its '>' stands, SIZE_MAX: it is
 * no tag. */
static size_t tag_at(struct span s, char name[100], size_t *n)
{
    size_t i = 1;
    *n = 0;
    i += at(s, i) == '!' || at(s, i) == '/';
    while (ascii_isspace(at(s, i)))
        i++;
    for (; ascii_isalpha(at(s, i)) && *n < 98; i++)
        name[(*n)++] = ascii_lower(s.p[i]);
    if (!*n)
        return SIZE_MAX;
    size_t end = span_find(span_from(s, i), '>');
    return end == SIZE_MAX ? end : i + end;
}

static bool is_html(struct span s)
{
    /* A '<' without a '>' behind it is looked at once: what follows has none either. */
    size_t last = span_rfind(s, '>');
    for (size_t i = 0; last != SIZE_MAX && i < last; i++) {
        char name[100];
        size_t n, end;
        if (s.p[i] != '<' || (end = tag_at(span_from(s, i), name, &n)) == SIZE_MAX)
            continue;
        struct span rest = span_of(tags, sizeof tags - 1), known;
        while ((known = span_word(&rest, " ")).p)
            if (span_eq(known, span_of(name, n)))
                return true;
        i += end;
    }
    return false;
}

/* The character of an entity's name at s; '&' when it begins with none. *n: bytes of the name. */
static char entity(struct span s, size_t *n)
{
    static const struct {
        const char *name;
        char c;
    } ascii[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}};
    struct span rest = span_of(latin1, sizeof latin1 - 1), name;
    *n = 0;
    if (!ascii_isalpha(at(s, 0)))
        return '&';
    for (size_t i = 0; i < sizeof ascii / sizeof *ascii; i++)
        if (span_starts(s, span_str(ascii[i].name))) {
            *n = strlen(ascii[i].name);
            return ascii[i].c;
        }
    for (int code = 160; (name = span_word(&rest, " ")).p; code++)
        if (span_starts(s, name)) {
            *n = name.n;
            return (char)(code == 160 ? ' ' : code);
        }
    return '&';
}

/* quote: what ends a quoted value or, as '-', a comment. */
static struct span strip(struct arena *a, struct span s)
{
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    bool sgml = false, tag = false;
    char last = '\0', quote = '\0';
    for (size_t i = 0; i < s.n; last = i ? last : '\0') {
        char c = s.p[i++];
        bool plain = false;
        if (quote && c == quote) {
            if (c == '-' && last != '-') {
                last = c;
                continue;
            }
            quote = '\0';
        } else if (!quote && c == '<') {
            tag = true;
            sgml = sgml || at(s, i) == '!';
            i += i < s.n;
        } else if (!quote && c == '>') {
            if (tag)
                sgml = tag = false;
        } else if (!quote && c == '-' && sgml && last == '-') {
            quote = '-';
        } else if (!quote && (c == '"' || c == '\'') && tag) {
            quote = c;
        } else if (!quote && c == '&') {
            size_t length;
            out[n++] = entity(span_from(s, i), &length);
            i += length;
            i += length && at(s, i) == ';';
        } else {
            plain = !quote && !tag;
        }
        if (plain)
            out[n++] = c;
        last = c;
    }
    return span_of(out, n);
}

struct span razor_without_html(struct arena *a, struct span text)
{
    struct span s = span_sub(text, 0, span_find(text, '\0'));
    if (!is_html(s))
        return text;
    if (s.n == text.n)
        s.n--;
    return strip(a, s);
}

/* What the parts of the html room share. Room-private.
 *
 *   token.c   bytes -> start tags, end tags, text, comments (as HTML::Parser 3.81 cuts them); tags
 *             and their like in markup.c
 *   render.c  text -> pieces, visible or not; what is counted on the way
 *   style.c   the stack of text styles (colours: color.c)
 *   link.c    URIs in attributes, their base, anchor texts
 *   html.c    tags -> the three above, and the results */
#ifndef GATEHOUSE_HTML_HTML_PRIVATE_H
#define GATEHOUSE_HTML_HTML_PRIVATE_H

#include "html/html.h"

struct html_parser;

/* --- tags.c --- */

enum {
    HTML_ELEMENT = 1, /* counts as valid */
    HTML_STYLED = 2,  /* changes the text style */
    HTML_LINKS = 4    /* has attributes that hold URIs */
};

/* id, name, flags, white space that start and end tag leave in the text */
#define ELEMENT HTML_ELEMENT
#define STYLED  HTML_STYLED
#define LINKS   HTML_LINKS
/* clang-format off */
#define HTML_TAGS(X) \
    X(T_A, "a", ELEMENT|STYLED|LINKS, NULL) \
    X(T_ABBR, "abbr", ELEMENT, NULL) \
    X(T_ACRONYM, "acronym", ELEMENT, NULL) \
    X(T_ADDRESS, "address", ELEMENT, NULL) \
    X(T_APPLET, "applet", ELEMENT, NULL) \
    X(T_AREA, "area", ELEMENT|LINKS, NULL) \
    X(T_B, "b", ELEMENT, NULL) \
    X(T_BASE, "base", ELEMENT|LINKS, NULL) \
    X(T_BASEFONT, "basefont", ELEMENT|STYLED, NULL) \
    X(T_BDO, "bdo", ELEMENT, NULL) \
    X(T_BGSOUND, "bgsound", LINKS, NULL) \
    X(T_BIG, "big", ELEMENT|STYLED, NULL) \
    X(T_BLOCKQUOTE, "blockquote", ELEMENT, "\n\n") \
    X(T_BODY, "body", ELEMENT|STYLED|LINKS, NULL) \
    X(T_BR, "br", ELEMENT, "\n") \
    X(T_BUTTON, "button", ELEMENT, NULL) \
    X(T_CAPTION, "caption", ELEMENT, NULL) \
    X(T_CENTER, "center", ELEMENT, NULL) \
    X(T_CITE, "cite", ELEMENT, NULL) \
    X(T_CODE, "code", ELEMENT, NULL) \
    X(T_COL, "col", ELEMENT, NULL) \
    X(T_COLGROUP, "colgroup", ELEMENT, NULL) \
    X(T_DD, "dd", ELEMENT, " ") \
    X(T_DEL, "del", ELEMENT, NULL) \
    X(T_DFN, "dfn", ELEMENT, NULL) \
    X(T_DIR, "dir", ELEMENT, NULL) \
    X(T_DIV, "div", ELEMENT|STYLED, "\n") \
    X(T_DL, "dl", ELEMENT, NULL) \
    X(T_DT, "dt", ELEMENT, " ") \
    X(T_EM, "em", ELEMENT, NULL) \
    X(T_EMBED, "embed", LINKS, " ") \
    X(T_FIELDSET, "fieldset", ELEMENT, NULL) \
    X(T_FONT, "font", ELEMENT|STYLED, NULL) \
    X(T_FORM, "form", ELEMENT|LINKS, NULL) \
    X(T_FRAME, "frame", ELEMENT|LINKS, NULL) \
    X(T_FRAMESET, "frameset", ELEMENT, NULL) \
    X(T_H1, "h1", ELEMENT, " ") \
    X(T_H2, "h2", ELEMENT, " ") \
    X(T_H3, "h3", ELEMENT, " ") \
    X(T_H4, "h4", ELEMENT, " ") \
    X(T_H5, "h5", ELEMENT, " ") \
    X(T_H6, "h6", ELEMENT, " ") \
    X(T_HEAD, "head", ELEMENT, NULL) \
    X(T_HR, "hr", ELEMENT, "\n\n") \
    X(T_HTML, "html", ELEMENT, NULL) \
    X(T_I, "i", ELEMENT, NULL) \
    X(T_IFRAME, "iframe", ELEMENT|LINKS, NULL) \
    X(T_IMG, "img", ELEMENT|LINKS, NULL) \
    X(T_INPUT, "input", ELEMENT, NULL) \
    X(T_INS, "ins", ELEMENT, NULL) \
    X(T_ISINDEX, "isindex", ELEMENT, NULL) \
    X(T_KBD, "kbd", ELEMENT, NULL) \
    X(T_LABEL, "label", ELEMENT, NULL) \
    X(T_LEGEND, "legend", ELEMENT, NULL) \
    X(T_LI, "li", ELEMENT, " ") \
    X(T_LINK, "link", ELEMENT|LINKS, NULL) \
    X(T_LISTING, "listing", 0, "\n\n") \
    X(T_MAP, "map", ELEMENT, NULL) \
    X(T_MENU, "menu", ELEMENT, NULL) \
    X(T_META, "meta", ELEMENT|LINKS, NULL) \
    X(T_NOBR, "nobr", ELEMENT, NULL) \
    X(T_NOFRAMES, "noframes", ELEMENT, NULL) \
    X(T_NOSCRIPT, "noscript", ELEMENT, NULL) \
    X(T_OBJECT, "object", ELEMENT, NULL) \
    X(T_OL, "ol", ELEMENT, NULL) \
    X(T_OPTGROUP, "optgroup", ELEMENT, NULL) \
    X(T_OPTION, "option", ELEMENT, NULL) \
    X(T_P, "p", ELEMENT|STYLED, "\n\n") \
    X(T_PARAM, "param", ELEMENT, NULL) \
    X(T_PLAINTEXT, "plaintext", 0, "\n\n") \
    X(T_PRE, "pre", ELEMENT, "\n\n") \
    X(T_Q, "q", ELEMENT, NULL) \
    X(T_S, "s", ELEMENT, NULL) \
    X(T_SAMP, "samp", ELEMENT, NULL) \
    X(T_SCRIPT, "script", ELEMENT|LINKS, NULL) \
    X(T_SELECT, "select", ELEMENT, NULL) \
    X(T_SMALL, "small", ELEMENT|STYLED, NULL) \
    X(T_SPAN, "span", ELEMENT|STYLED, NULL) \
    X(T_STRIKE, "strike", ELEMENT, NULL) \
    X(T_STRONG, "strong", ELEMENT, NULL) \
    X(T_STYLE, "style", ELEMENT, NULL) \
    X(T_SUB, "sub", ELEMENT, NULL) \
    X(T_SUP, "sup", ELEMENT, NULL) \
    X(T_TABLE, "table", ELEMENT|STYLED|LINKS, NULL) \
    X(T_TBODY, "tbody", ELEMENT, NULL) \
    X(T_TD, "td", ELEMENT|STYLED|LINKS, " ") \
    X(T_TEXTAREA, "textarea", ELEMENT, NULL) \
    X(T_TFOOT, "tfoot", ELEMENT, NULL) \
    X(T_TH, "th", ELEMENT|STYLED, " ") \
    X(T_THEAD, "thead", ELEMENT, NULL) \
    X(T_TITLE, "title", ELEMENT, "\n\n") \
    X(T_TR, "tr", ELEMENT|STYLED|LINKS, NULL) \
    X(T_TT, "tt", ELEMENT, NULL) \
    X(T_U, "u", ELEMENT, NULL) \
    X(T_UL, "ul", ELEMENT, NULL) \
    X(T_VAR, "var", ELEMENT, NULL) \
    X(T_X_SIGSEP, "x-sigsep", ELEMENT, NULL) \
    X(T_X_TAB, "x-tab", ELEMENT, NULL) \
    X(T_XMP, "xmp", 0, "\n\n")
/* clang-format on */

enum html_tag_id {
    T_OTHER,
#define X(id, name, flags, space) id,
    HTML_TAGS(X)
#undef X
        T_COUNT
};

enum { HTML_TAG_NAME_MAX = 10 };

struct html_tag {
    char name[HTML_TAG_NAME_MAX + 1];
    uint8_t n, flags;
    const char *space;
};

const struct html_tag *html_tag(enum html_tag_id id);
/* By lower-case name; T_OTHER when it is none of them. */
enum html_tag_id html_tag_find(struct span lower_name);

/* --- entity.c --- */

/* Character references decoded. prefix: the longest known beginning of an unknown name counts (in
 * text, not in attributes). Returns raw itself when it holds no reference. */
struct html_text html_decode(struct arena *a, struct span raw, bool chars, bool prefix);

/* The same for the source in hand (struct html_parser.octets). */
struct html_text html_decode_in(const struct html_parser *h, struct span raw, bool prefix);

/* --- chars.c --- */

/* The character at *p and behind it, and the one that ends at p; bytes when !chars. Broken UTF-8 is
 * read byte by byte. */
unsigned html_next(const char **p, const char *end, bool chars);
unsigned html_previous(const char **p, const char *start, bool chars);
/* Perl's \s and \w: by Unicode in character strings, by ASCII in byte strings. */
bool html_is_space(unsigned c, bool chars);
bool html_is_word(unsigned c, bool chars);
/* Characters in a text. */
size_t html_count(struct html_text t);
/* The same characters always as the same bytes (UTF-8): a key for maps. */
struct span html_key(struct arena *a, struct html_text t);
/* ASCII letters folded, for values compared without regard to case. */
bool html_contains(struct span s, const char *lower);

/* A text that grows piece by piece. */
struct html_grow {
    char *p;
    size_t n, cap;
    bool chars;
};
void html_grow_add(struct arena *a, struct html_grow *g, struct html_text t);

/* --- style.c --- */

enum { COLOR_INVALID = -1, COLOR_EMPTY = -2, COLOR_TRANSPARENT = -3 }; /* else 0xRRGGBB */

struct html_style {
    double size;
    int32_t fg, bg;
    uint8_t tag; /* enum html_tag_id; T_OTHER for the default at the bottom */
    bool display_none, visibility_hidden;
};

struct html_styles {
    struct html_style *v; /* v[0] is the default */
    size_t n, cap;
    size_t open[T_COUNT]; /* how many of each tag are on the stack */
    double basefont;
};

int32_t html_color(struct arena *a, struct span value);

/* --- the state --- */

/* An attribute as it stands in the source. */
struct html_attr {
    struct span name, value;
    bool has_value;
};

struct html_attrs {
    const struct html_attr *v;
    size_t n;
};

/* One text as it was displayed. */
struct html_piece {
    const char *p;
    size_t n;
    bool chars, invisible, space;
};

struct html_link_extra {
    uint32_t *anchors; /* indices of struct html_parser.anchors */
    size_t n, cap;
};

struct html_parser {
    struct arena *a;
    struct html *out;
    bool chars;  /* of the source */
    bool octets; /* html_parse_octets() */
    struct html_styles styles;
    struct html_piece *pieces;
    size_t npieces, pieces_cap;
    long inside[T_COUNT]; /* open count + 1, 0 when never seen; T_OTHER is not used */
    struct map inside_other;
    double tags, tags_seen, elements, elements_seen, closed_extra, obfuscation;
    uint64_t backhair; /* one bit for each "n_m" */
    struct html_grow *anchors, *titles;
    size_t nanchors, anchors_cap, ntitles, titles_cap;
    struct map links;               /* html_key -> index of the link + 1 */
    struct html_link_extra *extras; /* parallel to out->links */
    size_t nextras, extras_cap;
    struct span base;
    bool base_chars;
};

/* --- token.c: calls the html_on_ functions of html.c --- */
void html_tokenize(struct html_parser *h, struct span source);
void html_on_start(struct html_parser *h, struct span name, struct html_attrs attrs);
void html_on_end(struct html_parser *h, struct span name);
void html_on_text(struct html_parser *h, struct span raw, bool cdata);
void html_on_comment(struct html_parser *h, struct span raw);
void html_on_declaration(struct html_parser *h, struct span raw);

/* The first attribute of that (lower-case) name, decoded; false when there is none. */
bool html_attr(struct html_parser *h, struct html_attrs attrs, const char *name,
               struct html_text *value);
static inline bool html_is_open(const struct html_parser *h, enum html_tag_id id)
{
    return h->inside[id] > 1;
}

/* --- style.c --- */
void html_style_start(struct html_parser *h, enum html_tag_id id, struct html_attrs attrs);
void html_style_end(struct html_parser *h, enum html_tag_id id);
/* Whether text is invisible in the current style; notes why. */
bool html_style_hides(struct html_parser *h);

/* --- link.c --- */
void html_links_of(struct html_parser *h, enum html_tag_id id, struct html_attrs attrs);
/* Opens the text of an <a>; adds to the text of the last one. */
void html_anchor_open(struct html_parser *h, struct html_attrs attrs);
void html_anchor_add(struct html_parser *h, struct html_text t);
void html_links_finish(struct html_parser *h);
/* RFC 3986 section 5.2 as SpamAssassin does it. */
struct span html_resolve(struct arena *a, struct span base, struct span ref);

/* --- render.c --- */
void html_show_space(struct html_parser *h, const char *space);
void html_show_text(struct html_parser *h, struct html_text t);
void html_render_finish(struct html_parser *h);

#endif

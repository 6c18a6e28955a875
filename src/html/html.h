/* HTML as SpamAssassin renders it (semantics 4.4 to 4.6): tokens, style stack, visible and
 * invisible text, links, and the numbers that rules ask for. Bytes in, a struct out; no I/O, arena
 * only.
 *
 * Strings are either byte strings or character strings (semantics 4.3). A character string is held
 * as UTF-8. `chars` tells which kind the rendered text is. */
#ifndef GATEHOUSE_HTML_HTML_H
#define GATEHOUSE_HTML_HTML_H

#include "base/arena.h"
#include "base/map.h"

/* A text that remembers its kind. */
struct html_text {
    struct span s;
    bool chars; /* true: UTF-8 of characters; false: bytes */
};

struct html_texts {
    struct html_text *v;
    size_t n, cap;
};

/* A link as found: one entry per distinct key (semantics 5.2). */
struct html_link {
    struct html_text key; /* resolved URI, or the unresolved href for anchor texts */
    const char **types;   /* tag names: "a", "img", ..., none: "parsed" */
    size_t ntypes, types_cap;
    struct html_texts anchors; /* anchor texts, de-duplicated */
};

struct html_links {
    struct html_link *v; /* in order of appearance */
    size_t n, cap;
    bool truncated; /* a URI was longer than 8192 bytes */
};

struct html {
    struct html_text text, visible, invisible; /* rendered */
    struct html_links links;
    struct html_texts anchor, title, comment, script; /* semantics 4.6 */
    struct map inside; /* tag name -> (void *)(intptr_t)(count + 1); a present key was seen */
    double length, html_length, non_space_len, ratio;
    double image_area, min_size, max_size;
    /* NAN when not defined */
    double closed_extra_ratio, bad_tag_ratio, non_element_ratio, obfuscation_ratio, backhair_count;
    bool font_low_contrast, font_invalid_color, font_face_bad, form_action_mailto, embeds;
};

/* source: decoded and charset-normalised body of the part; chars: its kind; source_bytes: its size
 * after transfer decoding (for `ratio`). */
struct html *html_parse(struct arena *a, struct span source, bool chars, size_t source_bytes);

/* The same for a body that was not normalised: bytes of an unknown charset, of which texts and
 * values of attributes are taken for UTF-8 where they can be, else for Latin-1 (HTML::Parser's
 * utf8_mode). The rendered text is bytes. */
struct html *html_parse_octets(struct arena *a, struct span source);

/* Latin-1 bytes to UTF-8: what joining a byte string with a character string does to it. */
struct span html_upgrade(struct arena *a, struct span bytes);

/* Whether the tag was seen, and its final open count. */
bool html_inside(const struct html *h, const char *tag, long *count);

#endif

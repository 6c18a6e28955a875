/* What rules read of a message: the rendered body, the raw body, HTML facts, URIs (semantics 4, 5).
 * Made once for a message, in its arena; the lines of body may be replaced by a rule
 * (semantics 8.4), the URIs are those of the text before. */
#ifndef GATEHOUSE_TEXT_TEXT_H
#define GATEHOUSE_TEXT_TEXT_H

#include "base/laps.h"
#include "html/html.h"
#include "mime/mime.h"
#include "uri/uri.h"

struct lines {
    struct span *v;
    size_t n, cap;
};

/* One HTML part and what its rendering found. */
struct text_html {
    const struct mime_part *part;
    struct html *html;
};

/* One rendered part. */
struct text_part {
    const struct mime_part *part;
    struct html *html;     /* NULL for plain text */
    struct html_text text; /* visible and invisible */
};

struct text {
    struct arena *arena;
    struct mime *mime;
    struct lines body;    /* element 0 is the Subject line (semantics 4.2) */
    struct lines rawbody; /* semantics 4.1; slices of decoded bodies */
    struct text_html *html;
    size_t nhtml, html_cap;
    struct text_part *parts; /* text/plain and text/html leaves in document order */
    size_t nparts, parts_cap;
    struct map by_part; /* internal: of text_part_of() */
    struct uris uris;
    struct span subject; /* decoded last Subject and its LF */
    size_t body_part;    /* limit in force */
    bool keep_charset;
};

struct text_limits {
    size_t body_part;    /* body_part_scan_size, characters: 50000; 0: none */
    size_t rawbody_part; /* rawbody_part_scan_size, bytes: 500000; 0: none */
    bool parse_dkim_uris;
    bool keep_charset; /* normalize_charset 0: bytes stay what they are */
    struct laps *laps; /* where the time goes; NULL: nobody asks */
};
#define TEXT_LIMITS_DEFAULT ((struct text_limits){50000, 500000, true, false, NULL})

struct text *text_make(struct mime *m, const struct uri_tables *t, const struct text_limits *l);

/* The body without its invisible text, and the invisible text alone (without Subject); made anew at
 * each call. */
struct lines text_visible(struct text *t);
struct lines text_invisible(struct text *t);

/* Rendered text of one part (HTML or plain) for evals that compare parts, UTF-8 or bytes; SPAN_NONE
 * for a part that is not rendered. text_part_of: the same with its kind, or NULL. */
struct span text_of_part(struct text *t, struct mime *m, const struct mime_part *p);
const struct text_part *text_part_of(const struct text *t, const struct mime_part *p);

/* The type that decides how a part is read: text/html for names like x.html, else the part's own.
 */
struct span text_effective_type(const struct mime_part *p);

#endif

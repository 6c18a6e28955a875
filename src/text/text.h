/* What rules read of a message: the rendered body, the raw body, HTML facts, URIs (semantics 4, 5).
 * Made once for a message, lazily, in its arena. */
#ifndef GATEHOUSE_TEXT_TEXT_H
#define GATEHOUSE_TEXT_TEXT_H

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

struct text {
    struct lines body;      /* element 0 is the Subject line (semantics 4.2) */
    struct lines visible, invisible;
    struct lines rawbody;   /* semantics 4.1 */
    struct text_html *html;
    size_t nhtml, html_cap;
    struct uris uris;
    struct span rendered_html_bytes; /* free for the implementation */
};

struct text_limits {
    size_t body_part;    /* body_part_scan_size: 50000 */
    size_t rawbody_part; /* rawbody_part_scan_size: 500000 */
    bool parse_dkim_uris;
};

struct text *text_make(struct mime *m, const struct uri_tables *t, const struct text_limits *l);

/* Rendered text of one part (HTML or plain) for evals that compare parts; cached by part. */
struct span text_of_part(struct text *t, struct mime *m, const struct mime_part *p);

#endif

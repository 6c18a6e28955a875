/* The bytes of a message on their way in: the end of data, dot-unstuffing, line endings (RFC 5321
 * section 4.5.2), and a watch on the header (size, Received loop).
 *
 * Only CR LF "." CR LF ends the data, whatever the setting: everything else that some server
 * somewhere takes for an end (LF.LF, LF.CRLF, CR.CR, CRLF.LF, with NULs, ...) is content (SMTP
 * smuggling, CVE-2023-51764 and kin). Bare CR and LF are reported, or made harmless. */
#ifndef GATEHOUSE_SMTP_DATA_H
#define GATEHOUSE_SMTP_DATA_H

#include "base/span.h"

struct smtp_data {
    bool dots; /* DATA: dots and the end are looked for; BDAT: not */
    bool
        normalise; /* a bare LF becomes CR LF, a bare CR a space; otherwise `bare` is the verdict */
    bool bare;     /* a bare CR or LF was there */
    uint8_t state;
    void (*sink)(void *ctx,
                 struct span bytes); /* gets the content; may be called with any borders */
    void *ctx;
};

/* Begins a message; set sink and ctx afterwards. */
void data_begin(struct smtp_data *d, bool dots, bool normalise);
/* Takes bytes at any border. Returns how many belong to the message; *end: the end was reached,
 * what follows is the next command. */
size_t data_feed(struct smtp_data *d, struct span in, bool *end);
/* BDAT: no more chunks. A CR at the very end is bare; a last line without line end gets one, so
 * that nothing can ever be spliced onto it. */
void data_end(struct smtp_data *d);

/* ---- the header as it flies past ---- */

struct head_watch {
    uint64_t header_bytes; /* up to and with the empty line */
    uint64_t hops;         /* Received fields */
    bool done;             /* the empty line was there */
    uint8_t at;            /* of the current line, how much of "received:" has matched */
    bool match, empty;
};

void head_begin(struct head_watch *h);
/* Content (with CRLF line ends) in any pieces. */
void head_feed(struct head_watch *h, struct span content);

#endif

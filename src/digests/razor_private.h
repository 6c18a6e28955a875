/* Shared by the files that make Razor's signatures. */
#ifndef GATEHOUSE_DIGESTS_RAZOR_PRIVATE_H
#define GATEHOUSE_DIGESTS_RAZOR_PRIVATE_H

#include "digests/razor.h"

enum { DEPTH_MAX = 20 }; /* nested multiparts */

/* Each part with the fields that matter in front of it. */
struct razor_parts {
    struct arena *a;
    struct span *v;
    size_t n, cap;
};

/* CRLF to LF. */
struct span razor_unix(struct arena *a, struct span raw);
void razor_split(struct arena *a, struct span raw, struct razor_parts *out);
/* The body of a part without transfer codings, and without HTML if it is. */
struct span razor_cleaned(struct arena *a, struct span part, bool without_html);
/* All of the text without tags, when it looks like HTML; the last character is lost. */
struct span razor_without_html(struct arena *a, struct span text);

/* Engine 4 ("ephemeral"): the SHA-1 of two stretches of the text, chosen by the seed. */
void razor_ephemeral(struct arena *a, struct span text, uint64_t seed, char separator,
                     char out[41]);
/* Engine 8 ("whiplash"): for each host that the text links to, 16 hexadecimal digits. */
size_t razor_whiplash(struct arena *a, struct span text, char out[RAZOR_HOSTS][17]);
/* The part of a host name that its owner registered, by Razor's own list. */
struct span razor_domain(struct span host);

#endif

/* Shared by the files of this room. */
#ifndef GATEHOUSE_URI_URI_PRIVATE_H
#define GATEHOUSE_URI_URI_PRIVATE_H

#include "uri/uri.h"

/* Escapes of printable characters decoded, the others kept; raw control characters, blanks, bytes
 * from 7F on and " % < > escaped. s itself when it holds no escape. wide: s is UTF-8 of characters.
 */
struct span uri_decode_escapes(struct arena *a, struct span s, bool wide);

/* --- canonical.c --- */

struct forms {
    const struct uri_tables *t;
    struct arena *a;
    bool wide;
    struct span work[URI_REDIRECTS_MAX]; /* what was given, what was unwrapped from it; tidied */
    size_t nwork;
    struct span *v; /* other forms */
    size_t n, cap;
    struct span few[16]; /* room for them */
};

/* One more form; one more URI to work on. */
void forms_add(struct forms *f, struct span s);
void forms_unwrap(struct forms *f, struct span s);

struct span uri_join(struct arena *a, const struct span *parts, size_t n);
#define JOIN(a, ...)                                                                               \
    uri_join((a), (const struct span[]){__VA_ARGS__},                                              \
             sizeof((const struct span[]){__VA_ARGS__}) / sizeof(struct span))

/* The first byte of s that is one of stop (at most four), or the end. */
size_t uri_until(struct span s, const char *stop);
/* Length of "http:" or "https:" at the front, or 0. */
size_t uri_http_length(struct span s);
bool uri_is_ascii(struct span s);

/* --- domain.c --- */

/* The host of a lower-case URI, a slice of it; false when it has none. */
bool uri_host_of(struct span lower, struct span *host);
/* Its registered domain; false when it is no host. */
bool uri_domain_of(const struct uri_tables *t, struct arena *a, struct span host,
                   struct span *domain);

/* --- host.c --- */
void forms_of_host(struct forms *f, struct span s);

#endif

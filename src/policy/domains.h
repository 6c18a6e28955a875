/* Which domains are ours (relay.domains and relay.domains_file), and the one form in which
 * addresses and domains are looked up: lower case, internationalised labels as A-labels (UTS 46).
 *
 * "example.org" means that domain alone, ".example.org" everything below it. */
#ifndef GATEHOUSE_POLICY_DOMAINS_H
#define GATEHOUSE_POLICY_DOMAINS_H

#include "config/settings.h"
#include "smtp/textmap.h"
#include "smtp/path.h"

struct domains;

struct domains *domains_open(const struct relay_settings *set);
void domains_free(struct domains *d);
/* Reads the file again when it has changed. */
void domains_refresh(struct domains *d);
/* domain: in lookup form. */
bool domains_has(const struct domains *d, struct span domain);
/* false while the file could never be read: "no" would be a guess. */
bool domains_ok(const struct domains *d);

/* An address in lookup form. */
struct lookup {
    char key[SMTP_ADDR_MAX + 256];
    size_t n, at; /* at == n: no domain */
};
/* false when the domain has no A-label form: it is nobody's. */
bool lookup_make(const struct smtp_path *path, struct lookup *out);
/* The same from what lookup_addr gave. */
static inline void lookup_from_key(struct span key, struct lookup *out)
{
    size_t at = span_rfind(key, '@');
    out->n = key.n < sizeof out->key ? key.n : sizeof out->key;
    out->at = at < out->n ? at : out->n;
    memcpy(out->key, key.p, out->n);
}
static inline struct span lookup_addr(const struct lookup *l)
{
    return (struct span){l->key, l->n};
}
static inline struct span lookup_domain(const struct lookup *l)
{
    return l->at < l->n ? (struct span){l->key + l->at + 1, l->n - l->at - 1} : SPAN("");
}
/* Domain into lookup form; its length, 0 when there is none. */
enum { DOMAIN_KEY_SIZE = 256 };
size_t domain_key(struct span domain, char out[DOMAIN_KEY_SIZE]);

/* Bad lines of a map go to the log. */
void map_report(void *ctx, const char *text);

/* Checks one line of the file (smtp/textmap.h), for `gatehouse check`. */
int domains_line(void *ctx, struct arena *arena, struct textmap_entry *e, struct err *why);

#endif

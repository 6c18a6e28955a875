/* What the files of `gatehouse dkim` share: the keys of one domain on disk.
 *
 * dkim.keys/DOMAIN/ (mode 0700) holds SELECTOR.pem (0600) for each key, and three short lists of
 * selectors: "active" sign (auth/signer.h), "pending" wait until their record is published,
 * "retired" no longer sign, but mail that they signed may still be on its way. A list is replaced
 * in one rename. */
#ifndef GATEHOUSE_CLI_DKIM_H
#define GATEHOUSE_CLI_DKIM_H

#include "base/buf.h"
#include "cli/cli.h"

struct evp_pkey_st;

enum key_state { KEY_ACTIVE, KEY_PENDING, KEY_RETIRED };
enum { KEY_STATES = 3, RSA_BITS_DEFAULT = 2048, RSA_BITS_LEAST = 1024, RSA_BITS_MOST = 4096 };
const char *key_state_name(enum key_state s);

struct domain_keys {
    struct arena *arena;
    const char *domain, *dir;
    struct strings selectors[KEY_STATES];
};

/* Reads the lists; a domain without directory has empty ones. -1 with e. */
int domain_keys_read(struct arena *a, const struct settings *set, const char *domain,
                     struct domain_keys *out, struct err *e);
const char *domain_keys_file(const struct domain_keys *k, const char *selector);
int domain_keys_write(const struct domain_keys *k, enum key_state state, struct err *e);
void domain_keys_add(struct domain_keys *k, enum key_state state, const char *selector);
void domain_keys_remove(struct domain_keys *k, enum key_state state, const char *selector);
/* "gYYYYMMDD", with a letter behind it when that one is taken. */
const char *domain_keys_new_selector(const struct domain_keys *k, bool rsa);
/* Makes the key and its file; the directories too. */
int domain_keys_make(const struct domain_keys *k, const char *selector, bool rsa, unsigned bits,
                     struct err *e);

/* --- records --- */

/* "v=DKIM1; k=rsa; p=..." of a private (or public) key. */
void dkim_record(struct buf *out, struct evp_pkey_st *key);
/* The record as a line of a zone file, in strings of at most 255 bytes. */
void dkim_zone_line(struct buf *out, const char *selector, const char *domain, struct span record);

enum published { PUB_YES, PUB_NO, PUB_OTHER, PUB_UNKNOWN };
const char *published_name(enum published p);
/* Asks the DNS for a key's record; why: what is wrong, in words (a buffer of the caller). */
enum published dkim_published(const struct settings *set, const char *selector, const char *domain,
                              struct evp_pkey_st *key, struct buf *why);

#endif

#include "door/users.h"

#include <crypt.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"

enum { HASH_MAX = 512 };

static bool strong(const char *hash)
{
    static const char *const forms[] = {"$argon2id$", "$y$",  "$gy$", "$7$", "$2a$",
                                        "$2b$",       "$2y$", "$6$",  "$5$"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strncmp(hash, forms[i], strlen(forms[i])) == 0)
            return true;
    return false;
}

static bool matches(const char *hash, const char *password, size_t n)
{
    if (strncmp(hash, "$argon2id$", 10) == 0)
        return crypto_pwhash_str_verify(hash, password, n) == 0;
    struct crypt_data *data = xcalloc(1, sizeof *data);
    const char *got = crypt_r(password, hash, data);
    size_t len = strlen(hash);
    bool same = got && got[0] != '*' && strlen(got) == len && sodium_memcmp(got, hash, len) == 0;
    sodium_memzero(data, sizeof *data);
    free(data);
    return same;
}

/* found: the user's hash; other: some hash of the file, for the time it takes. */
static void find(FILE *in, const char *user, char found[HASH_MAX], char other[HASH_MAX])
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while (!found[0] && (n = getline(&line, &cap, in)) > 0) {
        struct span s = span_trim(span_of(line, (size_t)n));
        size_t colon = span_find(s, ':');
        if (s.n == 0 || s.p[0] == '#' || colon == SIZE_MAX)
            continue;
        struct span hash = span_from(s, colon + 1);
        hash = span_sub(hash, 0, span_find(hash, ':'));
        if (hash.n == 0 || hash.n >= HASH_MAX)
            continue;
        bool mine = span_eq(span_sub(s, 0, colon), span_str(user));
        char *to = mine ? found : other;
        memcpy(to, hash.p, hash.n);
        to[hash.n] = '\0';
    }
    if (line)
        sodium_memzero(line, cap);
    free(line);
}

int users_line(struct span line, struct err *why)
{
    char hash[HASH_MAX];
    struct span s = span_trim(line);
    size_t colon = span_find(s, ':');
    if (s.n == 0 || s.p[0] == '#')
        return 0;
    if (colon == SIZE_MAX || colon == 0)
        return err_set(why, "expected user:hash");
    struct span h = span_from(s, colon + 1);
    h = span_sub(h, 0, span_find(h, ':'));
    if (h.n == 0 || h.n >= HASH_MAX)
        return err_set(why, "the user has no usable hash and can't log in");
    memcpy(hash, h.p, h.n);
    hash[h.n] = '\0';
    if (!strong(hash))
        return err_set(why,
                       "the hash is too weak and does not count; use yescrypt, bcrypt, SHA-512 "
                       "or Argon2id (mkpasswd, argon2)");
    return 0;
}

enum users_answer users_check(const char *file, const char *user, const char *password, size_t n)
{
    char found[HASH_MAX] = "", other[HASH_MAX] = "";
    FILE *in = fopen(file, "re");
    if (!in) {
        log_event(LOG_FAULT, NULL, "users-file", F_STR("file", file),
                  F_STR("why", strerror(errno)));
        return USERS_TROUBLE;
    }
    find(in, user, found, other);
    fclose(in);
    bool known = found[0] && strong(found);
    if (found[0] && !known)
        log_event(LOG_WARN, NULL, "weak-hash", F_STR("user", user));
    bool same = known ? matches(found, password, n) : other[0] && matches(other, password, n);
    sodium_memzero(found, sizeof found);
    sodium_memzero(other, sizeof other);
    return known && same ? USERS_YES : USERS_NO;
}

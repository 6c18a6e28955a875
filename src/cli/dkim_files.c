#include "cli/dkim.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "auth/signer.h"
#include "base/xalloc.h"

enum { KEYS_LISTED_MAX = 32 };

const char *key_state_name(enum key_state s)
{
    static const char *const names[] = {"active", "pending", "retired"};
    return names[s];
}

const char *domain_keys_file(const struct domain_keys *k, const char *selector)
{
    return arena_printf(k->arena, "%s/%s.pem", k->dir, selector).p;
}

static int read_list(struct domain_keys *k, enum key_state state, struct err *e)
{
    const char *path = arena_printf(k->arena, "%s/%s", k->dir, key_state_name(state)).p;
    char line[512];
    FILE *f = fopen(path, "re");
    k->selectors[state] =
        (struct strings){arena_array(k->arena, KEYS_LISTED_MAX, sizeof *k->selectors[state].v), 0};
    if (!f)
        return errno == ENOENT ? 0 : err_sys(e, "can't open %s", path);
    while (fgets(line, sizeof line, f)) {
        struct span s = span_trim(span_str(line));
        if (s.n && s.p[0] != '#' && signer_name_ok(s))
            domain_keys_add(k, state, arena_cstr(k->arena, s));
    }
    fclose(f);
    return 0;
}

int domain_keys_read(struct arena *a, const struct settings *set, const char *domain,
                     struct domain_keys *out, struct err *e)
{
    struct span name = arena_lower(a, span_str(domain));
    if (!signer_name_ok(name) || span_find(name, '.') == SIZE_MAX)
        return err_set(e, "'%s' is no domain", domain);
    *out = (struct domain_keys){.arena = a, .domain = name.p};
    out->dir = arena_printf(a, "%s/%s", set->dkim.keys, out->domain).p;
    for (int i = 0; i < KEY_STATES; i++)
        if (read_list(out, (enum key_state)i, e) != 0)
            return -1;
    return 0;
}

void domain_keys_add(struct domain_keys *k, enum key_state state, const char *selector)
{
    struct strings *s = &k->selectors[state];
    domain_keys_remove(k, state, selector);
    if (s->n == KEYS_LISTED_MAX) /* the oldest is forgotten */
        domain_keys_remove(k, state, s->v[0]);
    s->v[s->n++] = selector;
}

void domain_keys_remove(struct domain_keys *k, enum key_state state, const char *selector)
{
    struct strings *s = &k->selectors[state];
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->v[i], selector) != 0)
            s->v[n++] = s->v[i];
    s->n = n;
}

/* Written beside its place, on the disk, then renamed. */
static int put_file(const char *path, struct span bytes, bool replace, struct err *e)
{
    char *next = xasprintf("%s.new", path);
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool fine = fd >= 0 && fchmod(fd, 0600) == 0 &&
                write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n && fsync(fd) == 0;
    if (fd >= 0 && close(fd) != 0)
        fine = false;
    if (fine && !replace)
        fine = link(next, path) == 0 && unlink(next) == 0;
    else if (fine)
        fine = rename(next, path) == 0;
    int result = fine ? 0 : err_sys(e, "can't write %s", path);
    if (!fine)
        unlink(next);
    free(next);
    return result;
}

static int make_directory(const char *path, struct err *e)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : err_sys(e, "can't make %s", path);
}

int domain_keys_write(const struct domain_keys *k, enum key_state state, struct err *e)
{
    const char *path = arena_printf(k->arena, "%s/%s", k->dir, key_state_name(state)).p;
    const struct strings *s = &k->selectors[state];
    struct buf b = {0};
    for (size_t i = 0; i < s->n; i++)
        buf_printf(&b, "%s\n", s->v[i]);
    int result = put_file(path, buf_span(&b), true, e);
    buf_free(&b);
    return result;
}

const char *domain_keys_new_selector(const struct domain_keys *k, bool rsa)
{
    time_t now = time(NULL);
    struct tm tm;
    char day[32];
    gmtime_r(&now, &tm);
    strftime(day, sizeof day, "%Y%m%d", &tm);
    for (int i = 0; i < 26; i++) {
        const char *name = i ? arena_printf(k->arena, "%c%s%c", rsa ? 'g' : 'e', day, 'a' + i).p
                             : arena_printf(k->arena, "%c%s", rsa ? 'g' : 'e', day).p;
        if (access(domain_keys_file(k, name), F_OK) != 0)
            return name;
    }
    return NULL;
}

static EVP_PKEY *new_key(bool rsa, unsigned bits)
{
    return rsa ? EVP_RSA_gen(bits) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

int domain_keys_make(const struct domain_keys *k, const char *selector, bool rsa, unsigned bits,
                     struct err *e)
{
    struct span parent = span_sub(span_str(k->dir), 0, span_rfind(span_str(k->dir), '/'));
    if (make_directory(arena_cstr(k->arena, parent), e) != 0 || make_directory(k->dir, e) != 0)
        return -1;
    EVP_PKEY *key = new_key(rsa, bits);
    BIO *pem = BIO_new(BIO_s_secmem());
    char *text = NULL;
    int result = -1;
    if (key && pem && PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) == 1) {
        long n = BIO_get_mem_data(pem, &text);
        result = put_file(domain_keys_file(k, selector), span_of(text, (size_t)n), false, e);
    } else {
        err_set(e, "no key could be made");
    }
    BIO_free(pem);
    EVP_PKEY_free(key);
    return result;
}

#include "policy/domains.h"

#include <stdlib.h>
#include <unicode/uidna.h>

#include "base/log.h"
#include "base/map.h"
#include "base/xalloc.h"
#include "smtp/textmap.h"

struct domains {
    struct arena *arena;
    struct map own; /* from the settings; a leading dot is part of the key */
    struct textmap *file;
};

void map_report(void *ctx, const char *text)
{
    (void)ctx;
    log_event(LOG_WARN, NULL, "bad-map-line", F_STR("why", text));
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

size_t domain_key(struct span domain, char out[DOMAIN_KEY_SIZE])
{
    if (domain.n == 0 || domain.n >= DOMAIN_KEY_SIZE)
        return 0;
    if (is_ascii(domain)) {
        for (size_t i = 0; i < domain.n; i++)
            out[i] = ascii_lower(domain.p[i]);
        out[domain.n] = '\0';
        return domain.n;
    }
    UErrorCode code = U_ZERO_ERROR;
    UIDNA *idna = uidna_openUTS46(
        UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ | UIDNA_NONTRANSITIONAL_TO_ASCII, &code);
    if (U_FAILURE(code))
        return 0;
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    int32_t n = uidna_nameToASCII_UTF8(idna, domain.p, (int32_t)domain.n, out, DOMAIN_KEY_SIZE - 1,
                                       &info, &code);
    uidna_close(idna);
    if (U_FAILURE(code) || info.errors || n <= 0 || n >= DOMAIN_KEY_SIZE)
        return 0;
    out[n] = '\0';
    return (size_t)n;
}

bool lookup_make(const struct smtp_path *path, struct lookup *out)
{
    struct span local = path_local(path);
    for (size_t i = 0; i < local.n; i++)
        out->key[i] = ascii_lower(local.p[i]);
    out->n = out->at = local.n;
    if (path->at == path->n)
        return true;
    out->key[out->n++] = '@';
    size_t n = domain_key(path_domain(path), out->key + out->n);
    out->n += n;
    return n > 0;
}

/* "example.org" or ".example.org", in any case and as U-labels too. */
static size_t entry_key(struct span text, char out[DOMAIN_KEY_SIZE + 1])
{
    bool dot = text.n > 0 && text.p[0] == '.';
    struct span domain = span_from(text, dot);
    if (!domain_valid(domain, true))
        return 0;
    out[0] = '.';
    size_t n = domain_key(domain, out + dot);
    return n ? n + dot : 0;
}

int domains_line(void *ctx, struct arena *arena, struct textmap_entry *e, struct err *why)
{
    (void)ctx;
    char key[DOMAIN_KEY_SIZE + 1];
    size_t n = entry_key(e->key, key);
    if (n == 0)
        return err_set(why, "'%.*s' is not a domain", (int)(e->key.n > 200 ? 200 : e->key.n),
                       e->key.p);
    if (e->value.n > 0)
        return err_set(why, "one domain a line is wanted");
    e->key = arena_dup(arena, span_of(key, n));
    return 0;
}

struct domains *domains_open(const struct relay_settings *set)
{
    struct domains *d = xcalloc(1, sizeof *d);
    d->arena = arena_new(0);
    d->own = map_in(d->arena);
    for (size_t i = 0; i < set->domains.n; i++) {
        char key[DOMAIN_KEY_SIZE + 1];
        size_t n = entry_key(span_str(set->domains.v[i]), key);
        if (n > 0)
            *map_at(&d->own, arena_dup(d->arena, span_of(key, n))) = d;
        else
            log_event(LOG_WARN, NULL, "bad-relay-domain", F_STR("domain", set->domains.v[i]));
    }
    if (set->domains_file) {
        struct textmap_rules rules = {domains_line, map_report, NULL};
        d->file = textmap_open(set->domains_file, &rules);
    }
    return d;
}

void domains_free(struct domains *d)
{
    textmap_free(d->file);
    arena_free(d->arena);
    free(d);
}

void domains_refresh(struct domains *d)
{
    if (d->file && textmap_refresh(d->file))
        log_event(LOG_NOTE, NULL, "map-read", F_STR("map", "relay.domains_file"),
                  F_INT("entries", textmap_count(d->file)), F_INT("bad", textmap_bad(d->file)));
}

static bool has_key(const struct domains *d, struct span key)
{
    return map_get(&d->own, key) || (d->file && textmap_get(d->file, key));
}

bool domains_has(const struct domains *d, struct span domain)
{
    if (domain.n == 0)
        return false;
    if (has_key(d, domain))
        return true;
    for (size_t i = 1; i < domain.n; i++)
        if (domain.p[i] == '.' && has_key(d, span_from(domain, i)))
            return true;
    return false;
}

bool domains_ok(const struct domains *d)
{
    return !d->file || textmap_ok(d->file);
}

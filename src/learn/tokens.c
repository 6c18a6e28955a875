#include "learn/tokens_private.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/xalloc.h"

static void collect_lines(struct collector *c, const struct span *v, size_t n, struct span prefix,
                          enum learn_region region)
{
    size_t most = region == REGION_URI ? LEARN_SHORT_MAX : LEARN_BODY_MAX;
    c->found = 0;
    for (size_t i = 0; i < n && c->found < most; i++)
        collect_line(c, v[i], prefix, region);
}

/* Parts that say nothing have names. */
static struct span part_name(struct span part)
{
    static const struct {
        const char *digest, *name;
    } known[] = {
        {"da39a3ee5e6b4b0d3255bfef95601890afd80709:text/plain", "Empty-Plaintext"},
        {"da39a3ee5e6b4b0d3255bfef95601890afd80709:text/html", "Empty-HTML"},
        {"da39a3ee5e6b4b0d3255bfef95601890afd80709:text/xml", "Empty-XML"},
        {"adc83b19e793491b1c6ea0fd8b46cd9f32e592fc:text/plain", "OneNL-Plaintext"},
        {"adc83b19e793491b1c6ea0fd8b46cd9f32e592fc:text/html", "OneNL-HTML"},
        {"71853c6197a6a7f222db0f1978c7cb232b87c5ee:text/plain", "TwoNL-Plaintext"},
        {"71853c6197a6a7f222db0f1978c7cb232b87c5ee:text/html", "TwoNL-HTML"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (span_eq(part, span_str(known[i].digest)))
            return span_str(known[i].name);
    return part;
}

static int by_id(const void *x, const void *y)
{
    const struct learn_token *a = x, *b = y;
    return memcmp(a->id, b->id, LEARN_TOKEN_SIZE);
}

static struct learn_tokens hashed(struct arena *a, const struct map *texts)
{
    struct learn_tokens out = {arena_array(a, texts->n + 1, sizeof *out.v), 0};
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD *sha1 = EVP_sha1();
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!ctx || EVP_DigestInit_ex(ctx, sha1, NULL) != 1)
        texts = &(struct map){0};
    for (size_t i = 0; i < texts->n; i++) {
        struct span text = texts->entries[i].key;
        EVP_DigestInit_ex(ctx, NULL, NULL);
        EVP_DigestUpdate(ctx, text.p, text.n);
        EVP_DigestFinal_ex(ctx, digest, &n);
        memcpy(out.v[i].id, digest + n - LEARN_TOKEN_SIZE, LEARN_TOKEN_SIZE);
        out.v[i].text = text;
    }
    EVP_MD_CTX_free(ctx);
    qsort(out.v, texts->n, sizeof *out.v, by_id);
    for (size_t i = 0; i < texts->n; i++)
        if (out.n == 0 || by_id(&out.v[out.n - 1], &out.v[i]) != 0)
            out.v[out.n++] = out.v[i];
    return out;
}

struct learn_tokens learn_tokenize(struct arena *a, const struct learn_rules *r,
                                   const struct learn_text *t)
{
    struct collector c = {.a = a, .rules = r, .unique = map_in(a), .stopped = map_in(a)};
    collect_lines(&c, t->visible, t->nvisible, SPAN(""), REGION_BODY);
    collect_lines(&c, t->uris, t->nuris, SPAN(""), REGION_URI);
    collect_lines(&c, t->invisible, t->ninvisible, SPAN("I*:"), REGION_BODY);
    for (size_t i = 0; i < t->nparts; i++)
        collect_token(&c, SPAN("MIME:"), part_name(t->parts[i]));
    collect_header(&c, t);
    struct learn_tokens out = hashed(a, &c.unique);
    buf_free(&c.line);
    buf_free(&c.scratch);
    buf_free(&c.form);
    return out;
}

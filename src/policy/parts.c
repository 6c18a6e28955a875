#include "policy/parts_private.h"

#include <stdlib.h>
#include <magic.h>

#include "base/log.h"
#include "base/xalloc.h"

/* --- libmagic --- */

struct magic {
    magic_t cookie;
};

struct magic *magic_new(void)
{
    struct magic *g = xcalloc(1, sizeof *g);
    g->cookie = magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR |
                           MAGIC_NO_CHECK_TOKENS);
    if (g->cookie && magic_load(g->cookie, NULL) == 0)
        return g;
    log_event(LOG_FAULT, NULL, "magic-not-loaded",
              F_STR("why", g->cookie ? magic_error(g->cookie) : "no memory"));
    magic_free(g);
    return NULL;
}

void magic_free(struct magic *g)
{
    if (g && g->cookie)
        magic_close(g->cookie);
    free(g);
}

/* --- parts --- */

static bool is_type(const struct part_facts *p, struct span prefix)
{
    for (size_t i = 0; i < p->ntypes; i++)
        if (span_starts(p->types[i], prefix))
            return true;
    return false;
}

static bool sealed_itself(const struct part_facts *p)
{
    return is_type(p, SPAN("application/pkcs7-mime")) ||
           is_type(p, SPAN("application/x-pkcs7-mime"));
}

/* Parts come parents first, so the parent's answer is there. */
static const struct part_facts *facts_of(const struct parts *ps, const struct mime_part *part)
{
    for (size_t i = ps->n; i-- > 0;)
        if (ps->v[i].part == part)
            return &ps->v[i];
    return NULL;
}

static void add_part(struct parts *ps, struct mime_part *part)
{
    struct part_facts *p = &ps->v[ps->n];
    const struct part_facts *up = part->parent ? facts_of(ps, part->parent) : NULL;
    *p = (struct part_facts){.part = part, .number = (uint32_t)ps->n + 1, .encrypted = -1};
    p->container = part->child && !part->child->embedded;
    part_read_names(ps, p);
    p->sealed = sealed_itself(p) || (up && (up->sealed || is_type(up, SPAN("multipart/signed")) ||
                                            is_type(up, SPAN("multipart/encrypted"))));
    if (up && (is_type(up, SPAN("multipart/encrypted")) || up->encrypted > 0))
        p->encrypted = 1;
    ps->n++;
}

struct parts *parts_new(struct mime *m, struct magic *g, struct arena *a)
{
    struct parts *ps = ARENA_NEW(a, struct parts);
    size_t n = 0;
    for (struct mime_part *p = m->root; p; p = mime_next(p))
        n++;
    *ps = (struct parts){.mime = m, .arena = a, .magic = g, .v = arena_array(a, n, sizeof *ps->v)};
    for (struct mime_part *p = m->root; p; p = mime_next(p))
        add_part(ps, p);
    return ps;
}

struct span part_content(struct parts *ps, struct part_facts *p)
{
    if (p->content.p || !ps->magic)
        return p->content;
    struct span bytes = span_sub(mime_body(ps->mime, p->part), 0, PART_MAGIC_BYTES);
    const char *type = magic_buffer(ps->magic->cookie, bytes.p ? bytes.p : "", bytes.n);
    p->content = arena_dup(ps->arena, span_str(type ? type : "application/octet-stream"));
    return p->content;
}

uint64_t part_size(struct parts *ps, struct part_facts *p)
{
    return mime_body(ps->mime, p->part).n;
}

static bool enveloped(const struct parts *ps, const struct part_facts *p)
{
    struct mime_field *f = mime_last(&p->part->fields, SPAN("Content-Type"));
    return sealed_itself(p) && f &&
           span_isearch(mime_decoded(ps->mime, f), SPAN("enveloped-data")) != SIZE_MAX;
}

bool part_encrypted(struct parts *ps, struct part_facts *p)
{
    if (p->encrypted < 0)
        p->encrypted = enveloped(ps, p) || bytes_encrypted(mime_body(ps->mime, p->part));
    return p->encrypted > 0;
}

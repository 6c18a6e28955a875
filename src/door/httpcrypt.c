#include "door/httpcrypt.h"

#include <sodium.h>
#include <stdlib.h>

#include "auth/keyfile.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "door/door_private.h"

/* A message is deciphered only when all of it is there, so it is held in memory: bytes of all
 * requests at one listener together. */
#define HELD_MAX ((uint64_t)256 << 20)

struct httpcrypt {
    struct gate *gate;
    struct arena *arena;
    unsigned char shared[SEALED_SHARED];
    struct buf body;
    uint64_t held; /* counted for it */
    struct sealed_request inner;
};

size_t httpcrypt_keys(const char *path, struct sealed_key **out, httpcrypt_problem_fn *problem,
                      void *ctx)
{
    struct arena *a = arena_new(0);
    struct secrets found = {0};
    struct err e = {0};
    size_t n = 0;
    if (sodium_init() < 0 || secrets_read(path, a, &found, &e) < 0)
        found.n = 0;
    *out = xcalloc(found.n + 1, sizeof **out);
    for (size_t i = 0; i < found.n; i++) {
        if (sealed_key_parse(span_str(found.v[i]), &(*out)[n]))
            n++;
        else
            err_set(&e,
                    "%s: secret %zu is none of HTTPCrypt: expected 64 hexadecimal digits, or the "
                    "privkey of rspamadm",
                    path, i + 1);
    }
    if (e.text[0] && problem)
        problem(ctx, e.text);
    else if (e.text[0])
        log_event(LOG_FAULT, NULL, "httpcrypt-key-unusable", F_STR("why", e.text));
    arena_free(a);
    return n;
}

void httpcrypt_tell(const struct gate *g)
{
    char text[SEALED_TEXT];
    for (size_t i = 0; i < g->nsealed; i++)
        log_event(LOG_NOTE, NULL, "httpcrypt-key", F_STR("listener", g->set->name),
                  F_STR("public", sealed_key_text(&g->sealed[i], text)));
}

struct httpcrypt *httpcrypt_new(struct gate *g, const char *field)
{
    unsigned char shared[SEALED_SHARED];
    if (!sealed_agree(g->sealed, g->nsealed, span_trim(span_str(field)), shared))
        return NULL;
    struct httpcrypt *c = xcalloc(1, sizeof *c);
    c->gate = g;
    memcpy(c->shared, shared, sizeof c->shared);
    return c;
}

void httpcrypt_free(struct httpcrypt *c)
{
    if (!c)
        return;
    c->gate->sealed_held -= c->held;
    sodium_memzero(c->shared, sizeof c->shared);
    if (c->arena)
        arena_free(c->arena);
    buf_free(&c->body);
    free(c);
}

bool httpcrypt_add(struct httpcrypt *c, struct span bytes)
{
    const struct limits *l = &c->gate->door->set->limits;
    uint64_t most = l->message_size + SEALED_OVERHEAD + SEALED_HEADER_MAX;
    if (c->body.n + bytes.n > most || c->gate->sealed_held + bytes.n > HELD_MAX)
        return false;
    c->held += bytes.n;
    c->gate->sealed_held += bytes.n;
    buf_add(&c->body, bytes);
    return true;
}

const struct sealed_request *httpcrypt_open(struct httpcrypt *c)
{
    struct span inner;
    c->arena = arena_new(0);
    bool fine = sealed_open(c->shared, c->body.p, c->body.n, &inner) &&
                sealed_request_parse(inner, c->arena, &c->inner);
    return fine ? &c->inner : NULL;
}

void httpcrypt_reply(const struct httpcrypt *c, struct buf *out, unsigned status, const char *type,
                     struct span body)
{
    struct buf inner = {0};
    buf_printf(&inner,
               "HTTP/1.1 %u %s\r\nConnection: close\r\nServer: rspamd/3.4 (gatehouse)\r\n"
               "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
               status, status == 200 ? "OK" : "Error", type, body.n);
    buf_add(&inner, body);
    sealed_close(out, c->shared, buf_span(&inner));
    buf_free(&inner);
}

/* Tokens of a message: the first byte says as what the rest is read. And what comes over a link and
 * from a file: lessons, backups. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learn/combine.h"
#include "learn/store.h"
#include "learn/unmark.h"

static bool stop(void *ctx, struct span word)
{
    (void)ctx;
    return word.n == 4;
}

static bool ignored(void *ctx, struct span name)
{
    (void)ctx;
    return name.n == 3;
}

/* "Name: value" lines. */
static void read_fields(struct arena *a, struct span s, struct learn_text *t)
{
    struct learn_field *v = NULL;
    size_t n = 0, cap = 0;
    struct span line;
    while (span_line(&s, &line)) {
        size_t colon = span_find(line, ':');
        if (colon != SIZE_MAX)
            *ARENA_PUSH(a, v, n, cap) =
                (struct learn_field){span_sub(line, 0, colon), span_from(line, colon + 1)};
    }
    t->fields = t->metadata = v;
    t->nfields = n;
    t->nmetadata = n / 2;
}

static void tokens(struct arena *a, const struct learn_words *words, struct span s)
{
    struct learn_text t = {0};
    struct learn_rules r = {.words = words, .max_length = 15, .stop = stop, .ignored = ignored};
    switch (s.p[0] & 3) {
    case 0:
        t.visible = t.invisible = &s;
        t.nvisible = t.ninvisible = 1;
        break;
    case 1:
        t.uris = t.parts = &s;
        t.nuris = t.nparts = 1;
        break;
    default:
        read_fields(a, span_from(s, 1), &t);
    }
    struct learn_tokens got = learn_tokenize(a, &r, &t);
    for (size_t i = 1; i < got.n; i++)
        if (memcmp(got.v[i - 1].id, got.v[i].id, LEARN_TOKEN_SIZE) >= 0)
            abort();
    for (size_t i = 0; i < got.n; i++)
        if (got.v[i].text.n == 0)
            abort();
    if (learn_token_ids(a, &got).n != got.n * LEARN_TOKEN_SIZE)
        abort();
}

static void lesson(struct span s)
{
    struct learn_lesson l;
    struct buf b = {0};
    if (!learn_lesson_decode(s, &l))
        return;
    learn_lesson_encode(&b, &l);
    if (!learn_lesson_decode(buf_span(&b), &l))
        abort();
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct learn_words *words;
    struct err e;
    if (!words)
        words = learn_words_new(&e);
    if (!words || n == 0)
        return 0;
    struct arena *a = arena_new(0);
    struct span s = arena_dup(a, span_of((const char *)data, n));
    tokens(a, words, s);
    lesson(s);
    unmark(a, s, SPAN("[SPAM]"));
    arena_free(a);
    return 0;
}

#include "rules/globs.h"

/* Classical two-pointer match: on a mismatch go back to the last star and let it take one byte
 * more. anywhere: as if the pattern had a star at both ends. */
static bool match(struct span pattern, struct span s, bool anywhere)
{
    size_t p = 0, i = 0, resume = 0, mark = 0;
    bool star = anywhere;
    while (i < s.n) {
        if (anywhere && p == pattern.n)
            return true;
        if (p < pattern.n && pattern.p[p] == '*') {
            star = true;
            resume = ++p;
            mark = i;
        } else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == s.p[i])) {
            p++;
            i++;
        } else if (star) {
            p = resume;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

bool glob_match(struct span pattern, struct span s)
{
    return match(pattern, s, false);
}

bool glob_search(struct span pattern, struct span s)
{
    return match(pattern, s, true);
}

void globs_init(struct globs *g, struct arena *a)
{
    *g = (struct globs){.arena = a, .exact = map_in(a), .at_domain = map_in(a)};
}

static bool wild(struct span s)
{
    return span_find(s, '*') != SIZE_MAX || span_find(s, '?') != SIZE_MAX;
}

/* The last four bytes, the very last on top; zeros in front of shorter texts. */
static uint32_t last_bytes(struct span s)
{
    uint32_t v = 0;
    for (size_t i = s.n > sizeof v ? s.n - sizeof v : 0; i < s.n; i++)
        v = v >> 8 | (uint32_t)(unsigned char)s.p[i] << 24;
    return v;
}

static struct glob_try try_of(struct span pattern, size_t at)
{
    size_t n = 0;
    while (n < sizeof(uint32_t) && n < pattern.n && !strchr("*?", pattern.p[pattern.n - 1 - n]))
        n++;
    uint32_t mask = n ? UINT32_MAX << 8 * (sizeof mask - n) : 0;
    return (struct glob_try){(uint32_t)at, last_bytes(pattern) & mask, mask};
}

static void index_one(struct globs *g, size_t i)
{
    struct span p = g->v[i].pattern;
    void **slot = NULL;
    if (!wild(p))
        slot = map_at(&g->exact, p);
    else if (span_starts(p, SPAN("*@")) && !wild(span_from(p, 2)))
        slot = map_at(&g->at_domain, span_from(p, 2));
    if (slot)
        *slot = g;
    else
        *ARENA_PUSH(g->arena, g->rest, g->nrest, g->rest_cap) = try_of(p, i);
}

void globs_add(struct globs *g, struct span pattern, struct span arg)
{
    struct span lower = arena_lower(g->arena, pattern);
    char *p = (char *)lower.p;
    for (size_t i = 0; i < lower.n; i++)
        if (p[i] == '\0' || p[i] == '\\' || p[i] == '(')
            p[i] = '_';
    for (size_t i = 0; arg.p == NULL && i < g->n && g->n < 64; i++)
        if (span_eq(g->v[i].pattern, lower) && !g->v[i].arg.p)
            return;
    *ARENA_PUSH(g->arena, g->v, g->n, g->cap) =
        (struct glob){lower, arg.p ? arena_dup(g->arena, arg) : SPAN_NONE};
    index_one(g, g->n - 1);
}

void globs_remove(struct globs *g, struct span pattern, struct span arg)
{
    struct span lower = arena_lower(g->arena, pattern);
    size_t kept = 0;
    for (size_t i = 0; i < g->n; i++)
        if (!span_eq(g->v[i].pattern, lower) || (arg.p && !span_ieq(g->v[i].arg, arg)))
            g->v[kept++] = g->v[i];
    if (kept == g->n)
        return;
    g->n = kept;
    g->exact = map_in(g->arena);
    g->at_domain = map_in(g->arena);
    g->nrest = 0;
    for (size_t i = 0; i < g->n; i++)
        index_one(g, i);
}

bool globs_match(const struct globs *g, struct span address)
{
    if (g->n == 0)
        return false;
    if (map_get(&g->exact, address))
        return true;
    for (size_t i = 0; g->at_domain.n && i < address.n; i++)
        if (address.p[i] == '@' && map_get(&g->at_domain, span_from(address, i + 1)))
            return true;
    uint32_t last = last_bytes(address);
    for (size_t i = 0; i < g->nrest; i++)
        if ((last & g->rest[i].mask) == g->rest[i].bytes &&
            glob_match(g->v[g->rest[i].at].pattern, address))
            return true;
    return false;
}

size_t globs_next(const struct globs *g, struct span address, size_t from)
{
    for (size_t i = from; i < g->n; i++)
        if (glob_match(g->v[i].pattern, address))
            return i;
    return g->n;
}

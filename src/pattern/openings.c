/* Matches begin with one of some openings: sequences of byte sets. There are more in a pattern than
 * fit into a word; those that occur most often are told apart most precisely: beginning with one
 * opening that stands for all, the most frequent one is split into several by what may stand at its
 * first place that is not single yet, until the word is full. */
#include "pattern/openings.h"

#include <stdlib.h>

struct opening {
    struct byteset set[OPENING_BYTES];
    unsigned split;  /* places that it was split by so far */
    struct nodes at; /* what waits for the next place; none: the match may have ended before */
    bool line;       /* only at the start of a line */
    double often;    /* share of places in ordinary text that it fits */
};

struct maker {
    struct nfa *nfa;
    struct arena *scratch;
    struct opening v[OPENINGS_MAX];
    size_t n;
};

static struct byteset set_of(const struct maker *m, uint16_t node)
{
    return m->nfa->sets.v[m->nfa->nodes[node].set];
}

/* What waits behind those that wait now; none when the match may end here. */
static struct nodes behind(struct maker *m, struct nodes at)
{
    struct nfa *a = m->nfa;
    bool ends = false;
    for (size_t i = 0; i < at.n && !ends; i++) {
        struct byteset s = set_of(m, at.v[i]);
        ends = nfa_reach(a, a->nodes[at.v[i]].to, byteset_has(&s, '\n'));
    }
    struct nodes next = nfa_take(a);
    return ends ? (struct nodes){0} : nodes_dup(m->scratch, next);
}

static double share_of(struct byteset s)
{
    return (s.w[0] & s.w[1] & s.w[2] & s.w[3]) == UINT64_MAX ? 1 : byteset_share(s);
}

/* Behind more nodes than this nearly anything may stand, and finding out what takes long. */
enum { BEHIND_MAX = 48 };

/* The places before `end` behind those that it was split by: anything that may stand there. */
static void complete(struct maker *m, struct opening *o, unsigned end)
{
    struct nodes at = o->at;
    for (unsigned k = o->split; k < end; k++) {
        o->set[k] = at.n ? nfa_bytes(m->nfa, at) : BYTESET_ALL;
        at = at.n > BEHIND_MAX ? (struct nodes){0} : behind(m, at);
    }
    o->often = 1;
    for (unsigned k = 0; k < end; k++)
        o->often *= share_of(o->set[k]);
}

/* One of the sets that an opening is split by. */
struct part {
    uint16_t set;
    double share;
};

static int by_share(const void *x, const void *y)
{
    const struct part *a = x, *b = y;
    if (a->share != b->share)
        return a->share > b->share ? -1 : 1;
    return (int)a->set - (int)b->set;
}

static size_t parts_of(struct maker *m, const struct opening *o, struct part *parts)
{
    size_t n = 0;
    for (size_t i = 0; i < o->at.n; i++) {
        uint16_t set = m->nfa->nodes[o->at.v[i]].set;
        size_t k = 0;
        while (k < n && parts[k].set != set)
            k++;
        if (k == n)
            parts[n++] = (struct part){set, m->nfa->sets.share[set]};
    }
    qsort(parts, n, sizeof *parts, by_share);
    return n;
}

/* Of what waits for the next place, what waits for one of the sets. */
static struct opening part_of(struct maker *m, const struct opening *o, const struct part *parts,
                              size_t n)
{
    struct opening out = *o;
    struct nodes now = {arena_array(m->scratch, o->at.n + 1, sizeof *now.v), 0};
    out.set[o->split] = (struct byteset){{0}};
    for (size_t i = 0; i < o->at.n; i++)
        for (size_t k = 0; k < n; k++)
            if (m->nfa->nodes[o->at.v[i]].set == parts[k].set) {
                now.v[now.n++] = o->at.v[i];
                out.set[o->split] = byteset_or(out.set[o->split], set_of(m, o->at.v[i]));
            }
    out.at = behind(m, now);
    out.split++;
    complete(m, &out, OPENING_FIRST);
    return out;
}

/* Sets rarer than this share one opening. */
static const double RARE = 0.003;
/* Openings at so many of all places are worth another look; what stands at an offset must be so
 * much rarer. */
static const double OFTEN = 0.01, WORTH_OFFSET = 4;
enum { OFFSET_MAX = 12 };

/* false: there is no room for its parts. */
static bool split(struct maker *m, size_t which)
{
    struct opening whole = m->v[which];
    struct part *parts = arena_array(m->scratch, whole.at.n + 1, sizeof *parts);
    size_t n = parts_of(m, &whole, parts), alone = 0, room = OPENINGS_MAX - m->n + 1;
    while (alone < n && parts[alone].share >= RARE)
        alone++;
    if (alone + 1 == n)
        alone = n;
    if (alone + (alone < n) > room)
        return false;
    bool first = true;
    for (size_t i = 0; i < alone + (alone < n); i++) {
        size_t many = i < alone ? 1 : n - alone;
        m->v[first ? which : m->n++] = part_of(m, &whole, parts + i, many);
        first = false;
    }
    return true;
}

static void split_all(struct maker *m)
{
    bool closed[OPENINGS_MAX] = {false};
    for (;;) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < m->n; i++)
            if (!closed[i] && m->v[i].split < OPENING_BYTES && m->v[i].at.n &&
                (best == SIZE_MAX || m->v[i].often > m->v[best].often))
                best = i;
        if (best == SIZE_MAX)
            return;
        closed[best] = !split(m, best);
    }
}

static void add_whole(struct maker *m, struct nodes at, bool line)
{
    if (at.n == 0)
        return;
    struct opening *o = &m->v[m->n++];
    *o = (struct opening){.at = at, .line = line};
    complete(m, o, OPENING_FIRST);
}

/* What waits only at the start of a line. */
static struct nodes only_there(struct maker *m)
{
    const struct nodes *all = &m->nfa->start[1], *other = &m->nfa->start[0];
    struct nodes out = {arena_array(m->scratch, all->n + 1, sizeof *out.v), 0};
    for (size_t i = 0, k = 0; i < all->n; i++) {
        while (k < other->n && other->v[k] < all->v[i])
            k++;
        if (k == other->n || other->v[k] != all->v[i])
            out.v[out.n++] = all->v[i];
    }
    return out;
}

static void note(struct openings *o, const struct byteset *s, unsigned place, uint64_t opening)
{
    for (unsigned w = 0; w < 4; w++)
        for (uint64_t bits = s->w[w]; bits; bits &= bits - 1) {
            unsigned c = w * 64 + (unsigned)__builtin_ctzll(bits);
            if (place < OPENING_FIRST)
                o->first[c][place] |= opening;
            else
                o->more[c][place - OPENING_FIRST] |= opening;
        }
}

/* Begins anew with what waits `offset` bytes behind the start of a match. */
static void make(struct maker *m, unsigned offset)
{
    struct nodes at = m->nfa->start[0], line = only_there(m);
    for (unsigned i = 0; i < offset; i++) {
        at = behind(m, at);
        line = behind(m, line);
    }
    m->n = 0;
    add_whole(m, at, false);
    add_whole(m, line, true);
    split_all(m);
}

static double often(const struct maker *m)
{
    double sum = 0;
    for (size_t i = 0; i < m->n; i++)
        sum += m->v[i].often;
    return sum;
}

/* What stands in the middle may be much rarer than what stands in front: an offset with such bytes,
 * if it is worth it. */
static unsigned better_offset(struct maker *m)
{
    enum { PLACES = OFFSET_MAX + OPENING_FIRST };
    double best = often(m) / WORTH_OFFSET, share[PLACES];
    unsigned offset = 0, end = m->nfa->shortest < OFFSET_MAX ? m->nfa->shortest : OFFSET_MAX;
    struct nodes at = m->nfa->start[1];
    if (best * WORTH_OFFSET < OFTEN)
        return 0;
    for (unsigned i = 0; i < PLACES; i++, at = behind(m, at))
        share[i] = at.n ? byteset_share(nfa_bytes(m->nfa, at)) : 1;
    for (unsigned i = 0; i < end; i++) {
        double chance = 1;
        for (unsigned k = 0; k < OPENING_FIRST; k++)
            chance *= share[i + k];
        if (chance < best) {
            best = chance;
            offset = i;
        }
    }
    return offset;
}

void openings_make(struct openings *o, struct nfa *a)
{
    struct arena *scratch = arena_new(0);
    struct maker *m = ARENA_NEW(scratch, struct maker);
    m->nfa = a;
    m->scratch = scratch;
    make(m, 0);
    *o = (struct openings){.shortest = a->shortest, .offset = better_offset(m)};
    if (o->offset)
        make(m, o->offset);
    for (size_t i = 0; i < m->n; i++) {
        complete(m, &m->v[i], OPENING_BYTES);
        o->anywhere |= (uint64_t)!m->v[i].line << i;
        for (unsigned k = 0; k < OPENING_BYTES; k++)
            note(o, &m->v[i].set[k], k, (uint64_t)1 << i);
    }
    arena_free(scratch);
}

/* --- looking --- */

/* Those that fit a match at the place with their first bytes; the string may end before they do. */
static uint64_t fitting(const struct openings *o, struct span s, size_t at)
{
    uint64_t x = UINT64_MAX;
    at += o->offset;
    for (size_t k = 0; k < OPENING_FIRST && at + k < s.n; k++)
        x &= o->first[(unsigned char)s.p[at + k]][k];
    return x;
}

/* fit: those that fit with their first bytes. */
static bool begins(const struct openings *o, struct span s, size_t at, uint64_t fit)
{
    if (at && s.p[at - 1] != '\n')
        fit &= o->anywhere;
    if (fit == 0)
        return false;
    const uint8_t *p = (const uint8_t *)s.p;
    size_t end = at + o->offset + OPENING_BYTES < s.n ? at + o->offset + OPENING_BYTES : s.n;
    for (size_t i = at + o->offset + OPENING_FIRST, k = 0; i < end; i++, k++)
        fit &= o->more[p[i]][k];
    return fit != 0;
}

static size_t next_line(const struct openings *o, struct span s, size_t from, size_t end)
{
    for (size_t at = from; at < end; at++) {
        if (at && s.p[at - 1] != '\n') {
            const char *lf = memchr(s.p + at, '\n', end - at);
            if (!lf)
                break;
            at = (size_t)(lf - s.p) + 1;
        }
        if (at < end && begins(o, s, at, fitting(o, s, at)))
            return at;
    }
    return SIZE_MAX;
}

size_t openings_next(const struct openings *o, struct span s, size_t from)
{
    enum { STEP = 4, AHEAD = STEP + OPENING_FIRST - 1 };
    size_t end = s.n < o->shortest ? 0 : s.n - o->shortest + 1, at = from;
    if (!o->anywhere)
        return next_line(o, s, from, end);
    for (; at < end && s.n - at >= AHEAD + o->offset; at += STEP) {
        const uint8_t *p = (const uint8_t *)s.p + at + o->offset;
        uint64_t fit[STEP];
        for (unsigned i = 0; i < STEP; i++)
            fit[i] = o->first[p[i]][0] & o->first[p[i + 1]][1] & o->first[p[i + 2]][2] &
                     o->first[p[i + 3]][3];
        if ((fit[0] | fit[1] | fit[2] | fit[3]) == 0)
            continue;
        for (unsigned i = 0; i < STEP && at + i < end; i++)
            if (begins(o, s, at + i, fit[i]))
                return at + i;
    }
    for (; at < end; at++)
        if (begins(o, s, at, fitting(o, s, at)))
            return at;
    return SIZE_MAX;
}

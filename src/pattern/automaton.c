#include "pattern/automaton.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "pattern/openings.h"
#include "pattern/states.h"

struct automaton {
    atomic_flag busy;
    bool gave_up;
    unsigned drops;
    struct arena *arena;
    struct nfa nfa;
    struct openings openings;
    struct states ahead; /* from a place where a match may begin */
    struct states pass;  /* over all places */
    int64_t astray;      /* cost of looking ahead so far, less that of passes */
};

/* Costs in moves over a byte: of a walk besides its moves, and how many places of openings are seen
 * in the time. A string may cost LAVISH walks more than a pass would; all strings together may cost
 * ASTRAY more, or are passed over from then on. What was saved counts as little as that. */
enum { WALK = 4, PLACES = 8, LAVISH = 64, DEARER = 4, ASTRAY = 64 * 1024 };

/* --- one pass --- */

/* After the states have been dropped it begins anew at the place, having forgotten what was under
 * way: all places behind the last start are the only safe answer then. */
static void note_drop(struct automaton *m, struct states *t)
{
    states_drop(t);
    m->gave_up = ++m->drops >= AUTOMATON_DROPS;
}

/* Bytes that nothing is under way for until it is worth asking where a match may begin next. */
enum { IDLE = 16 };

struct ride {
    uint16_t state;
    size_t first; /* where the last match that is under way may have begun */
    bool idle;
};

/* Moves over the bytes from `at` as far as the states are known, or until nothing has been under
 * way for a while; the place where that ends. */
static size_t glide(const struct automaton *m, struct span s, size_t at, struct ride *r)
{
    const uint8_t *p = (const uint8_t *)s.p, *class_of = m->nfa.class_of;
    const uint16_t *next = m->pass.next;
    const unsigned shift = m->nfa.shift;
    size_t from = r->state, first = r->first, busy = at, i = at;
    for (; i < s.n && i - busy < IDLE; i++) {
        size_t to = next[(from << shift) + class_of[p[i]]];
        if (to <= STATE_MATCH)
            break;
        first = to <= STATE_LINE ? i + 1 : first;
        busy = to <= STATE_LINE ? busy : i;
        from = to;
    }
    *r = (struct ride){(uint16_t)from, first, i - busy >= IDLE};
    return i;
}

static void set_out(struct span s, size_t at, struct ride *r)
{
    *r = (struct ride){at == 0 || s.p[at - 1] == '\n' ? STATE_LINE : STATE_NONE, at, false};
}

static bool pass_over(struct automaton *m, struct span s, size_t from, struct window *w)
{
    struct ride r;
    set_out(s, from, &r);
    for (size_t i = from; (i = glide(m, s, i, &r)) < s.n;) {
        if (r.idle && (i = openings_next(&m->openings, s, i)) == SIZE_MAX)
            return false;
        if (r.idle) {
            set_out(s, i, &r);
            continue;
        }
        unsigned class = m->nfa.class_of[(unsigned char)s.p[i]];
        uint16_t to = m->pass.next[((size_t)r.state << m->nfa.shift) + class];
        if (to == STATE_UNKNOWN)
            to = states_move(&m->pass, r.state, class);
        if (to <= STATE_MATCH) {
            *w = (struct window){r.first, to == STATE_UNKNOWN ? s.n : i};
            if (to == STATE_UNKNOWN)
                note_drop(m, &m->pass);
            return true;
        }
    }
    return false;
}

/* --- from place to place --- */

enum outcome { NO_MATCH, MAY_MATCH, NO_ROOM };

/* Whether a match can begin at the place; *end: how far that was followed. */
static enum outcome walk(struct automaton *m, struct span s, size_t at, size_t *end)
{
    const uint8_t *p = (const uint8_t *)s.p;
    struct states *t = &m->ahead;
    const unsigned shift = m->nfa.shift;
    size_t state = states_first(t, at == 0 || p[at - 1] == '\n'), i = at;
    for (; i < s.n && state > STATE_NONE; i++) {
        unsigned class = m->nfa.class_of[p[i]];
        size_t to = t->next[(state << shift) + class];
        if (to == STATE_UNKNOWN)
            to = states_move(t, (uint16_t)state, class);
        state = to;
    }
    *end = i;
    return state == STATE_UNKNOWN ? NO_ROOM : state == STATE_MATCH ? MAY_MATCH : NO_MATCH;
}

static int64_t within(int64_t x, int64_t bound)
{
    return x < -bound ? -bound : x > bound ? bound : x;
}

static bool look_ahead(struct automaton *m, struct span s, size_t from, struct window *w)
{
    const size_t budget = (s.n - from) * DEARER + LAVISH * WALK;
    size_t spent = 0, at = from, end;
    enum outcome found = NO_MATCH;
    while ((at = openings_next(&m->openings, s, at)) != SIZE_MAX) {
        found = walk(m, s, at, &end);
        if (found == NO_ROOM) {
            note_drop(m, &m->ahead);
            found = walk(m, s, at, &end);
        }
        spent += end - at + WALK;
        if (found != NO_MATCH || spent > budget)
            break;
        at++;
    }
    size_t last = at == SIZE_MAX ? s.n : at;
    int64_t cost = (int64_t)(spent + (last - from) / PLACES) - (int64_t)(last - from);
    m->astray = within(m->astray + cost, ASTRAY);
    if (found == NO_ROOM || (found == NO_MATCH && at != SIZE_MAX))
        return pass_over(m, s, at, w);
    *w = (struct window){last, last};
    return found == MAY_MATCH;
}

bool automaton_next(struct automaton *m, struct span s, size_t from, struct window *w)
{
    *w = (struct window){from, s.n};
    if (atomic_flag_test_and_set_explicit(&m->busy, memory_order_acquire))
        return true;
    bool possible = m->gave_up           ? true
                    : m->astray < ASTRAY ? look_ahead(m, s, from, w)
                                         : pass_over(m, s, from, w);
    atomic_flag_clear_explicit(&m->busy, memory_order_release);
    return possible;
}

/* --- all --- */

struct automaton *automaton_new(struct span pattern)
{
    struct automaton *m = xcalloc(1, sizeof *m);
    m->arena = arena_new(0);
    if (!nfa_build(&m->nfa, m->arena, pattern)) {
        arena_free(m->arena);
        free(m);
        return NULL;
    }
    openings_make(&m->openings, &m->nfa);
    m->nfa.whole = false;
    states_init(&m->ahead, &m->nfa, false);
    states_init(&m->pass, &m->nfa, true);
    return m;
}

void automaton_free(struct automaton *m)
{
    if (!m)
        return;
    states_free(&m->ahead);
    states_free(&m->pass);
    arena_free(m->arena);
    free(m);
}

/* How templates are matched: compiled into steps, each with the bytes that may follow.
 * Room-private.
 *
 *   template_class.c    the classes of characters
 *   template_compile.c  text -> steps, what every match holds, what it may begin with
 *   template_memory.c   what was compiled
 *   template.c          steps on a line */
#ifndef GATEHOUSE_RELAYS_TEMPLATE_PRIVATE_H
#define GATEHOUSE_RELAYS_TEMPLATE_PRIVATE_H

#include "relays/template.h"

/* --- template_class.c --- */

/* A class: how many characters; lazy ones take as few as they can. */
struct template_class {
    uint32_t min, max;
    bool lazy;
};

extern const struct template_class template_classes[];
/* A bit for each class that has the byte. */
extern const uint64_t template_bytes[256];
/* The class of a letter, or -1. */
int template_class_of(char letter);
/* The class of any byte but a line end. */
bool template_class_is_any(unsigned class);

/* --- what templates become --- */

enum step_kind {
    STEP_DONE,
    STEP_TEXT,      /* n bytes at `text` */
    STEP_CLASS,     /* class */
    STEP_IP,        /* an address */
    STEP_LOCALHOST, /* a loopback address or its name */
    STEP_CHOICE,    /* the steps behind it, or the choice at `to` (0: no other); all end at n */
    STEP_JUMP,      /* go on at `to` */
    STEP_LINE_END,
    STEP_BOUNDARY, /* of a word */
    STEP_NOT,      /* the n bytes at `text` do not follow */
    STEP_OPEN,     /* a longer stretch, stored under `slot` when it is closed */
    STEP_CLOSE
};

enum { NO_SLOT = 255, SETS_MOST = 255 };

struct step {
    uint8_t kind, slot, class;
    uint8_t follow; /* set of what the rest begins with (of a choice: its first alternative) */
    uint16_t text, n, to;
    bool alone; /* no byte of the class is in `follow`: only its longest run can go on */
};

/* Bytes, and whether the line may end. Set 0 has everything. */
struct byte_set {
    uint64_t bits[4];
    bool end;
};

static inline bool set_has(const struct byte_set *s, struct span line, size_t at)
{
    if (at >= line.n)
        return s->end;
    unsigned char c = (unsigned char)line.p[at];
    return s->bits[c / 64] >> c % 64 & 1;
}

enum { NEEDED_PAIRS = 10 };

/* A template, and what every match of it holds. */
struct compiled {
    const char *template;
    struct step *steps;
    uint16_t nsteps;
    uint8_t first;  /* set of what a match begins with */
    uint8_t npairs; /* that stand in it */
    uint16_t pairs[NEEDED_PAIRS];
    struct span lead, literal; /* what it begins with; the longest text it holds */
};

enum { MEMORY_SLOTS = 1024, MEMORY_MOST = 512 };

/* Four pairs of a template, the rarest ones; PAIR_NONE fills up. */
enum { HELD_PAIRS = 4 };
struct held {
    uint16_t pairs[HELD_PAIRS];
};

/* Those of a list, close together: every line is asked for all of them. */
enum { PLANS_MOST = 24 };
struct plan {
    const void *list;
    struct held *held;
    size_t n;
};

/* Hashed, but in the order in which they were met, which is that in which they are tried. */
struct template_memory {
    struct arena *arena;
    struct byte_set *sets;
    size_t nsets, sets_cap;
    struct compiled **v;
    const char **keys; /* their templates */
    size_t n, cap, keys_cap, last;
    struct plan plans[PLANS_MOST];
    size_t nplans;
    uint16_t slots[MEMORY_SLOTS]; /* index + 1 */
};

/* --- template_memory.c --- */

/* The memory in use; one in the arena when there is none yet. */
struct template_memory *template_memory_of(struct template_match *m);
const struct compiled *template_compiled(struct template_match *m, const char *template);
const struct plan *template_plan(struct template_match *m, const void *list, size_t size);

/* --- template_compile.c --- */

/* Steps in the memory's arena. */
struct compiled *template_compile(struct template_memory *t, const char *template);

#endif

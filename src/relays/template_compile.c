/* Templates compiled: text into steps, and what can be told of a line before they are taken. */
#include "relays/template_private.h"

struct compiler {
    struct template_memory *t;
    struct compiled *out;
    size_t cap, n;
    const char *at; /* in the template */
};

static struct step *add(struct compiler *c, enum step_kind kind)
{
    struct step *s = ARENA_PUSH(c->t->arena, c->out->steps, c->n, c->cap);
    s->kind = (uint8_t)kind;
    s->slot = NO_SLOT;
    c->out->nsteps = (uint16_t)c->n;
    return s;
}

static void add_text(struct compiler *c, enum step_kind kind, size_t n)
{
    struct step *s = add(c, kind);
    s->text = (uint16_t)(c->at - c->out->template);
    s->n = (uint16_t)n;
    c->at += n;
}

/* A class, stored or not. */
static void add_class(struct compiler *c)
{
    bool stored = *c->at >= 'a' && *c->at <= 'z';
    uint8_t slot = stored ? (uint8_t)(*c->at++ - 'a') : NO_SLOT;
    char letter = *c->at ? *c->at++ : '\0';
    int class = template_class_of(letter);
    struct step *s = add(c, letter == 'I' ? STEP_IP : letter == 'F' ? STEP_LOCALHOST : STEP_CLASS);
    s->slot = slot;
    s->class = (uint8_t)(class < 0 ? 0 : class);
}

/* What stands behind '$'. */
static void add_special(struct compiler *c)
{
    switch (*c->at) {
    case '.':
        c->at++;
        add(c, STEP_LINE_END);
        break;
    case '_':
        c->at++;
        add(c, STEP_BOUNDARY);
        break;
    case '!':
        c->at++;
        add_text(c, STEP_NOT, strcspn(c->at, "!"));
        c->at += *c->at == '!';
        break;
    case '(':
    case ')': {
        struct step *s = add(c, *c->at == '(' ? STEP_OPEN : STEP_CLOSE);
        s->slot = (uint8_t)(c->at[1] - 'a');
        c->at += 2;
        break;
    }
    default:
        add_class(c);
    }
}

static void add_sequence(struct compiler *c);

/* Behind '{'. Each alternative ends with a jump behind the last one. */
static void add_choice(struct compiler *c)
{
    size_t head = c->n;
    for (size_t choice = head;;) {
        add(c, STEP_CHOICE);
        add_sequence(c);
        add(c, STEP_JUMP);
        if (*c->at != '|')
            break;
        c->at++;
        c->out->steps[choice].to = (uint16_t)c->n;
        choice = c->n;
    }
    c->at += *c->at == '}';
    struct step *v = c->out->steps;
    v[head].n = v[c->n - 1].to = (uint16_t)c->n;
    for (size_t k = head; v[k].to; k = v[k].to)
        v[v[k].to - 1].to = (uint16_t)c->n;
}

/* To the end of the alternative, or of the template. */
static void add_sequence(struct compiler *c)
{
    while (*c->at && *c->at != '|' && *c->at != '}') {
        if (*c->at == '$') {
            c->at++;
            add_special(c);
        } else if (*c->at == '{') {
            c->at++;
            add_choice(c);
        } else {
            add_text(c, STEP_TEXT, strcspn(c->at, "${}|"));
        }
    }
}

/* --- what steps begin with --- */

static void set_add(struct byte_set *s, unsigned char c)
{
    s->bits[c / 64] |= (uint64_t)1 << c % 64;
}

static void add_bytes(struct byte_set *s, const char *bytes)
{
    for (; *bytes; bytes++) {
        set_add(s, (unsigned char)ascii_lower(*bytes));
        set_add(s, (unsigned char)ascii_upper(*bytes));
    }
}

static void add_class_bytes(struct byte_set *s, unsigned class)
{
    for (unsigned c = 0; c < 256; c++)
        if (template_bytes[c] >> class & 1)
            set_add(s, (unsigned char)c);
}

/* Adds what the steps from i on may begin with: at least that. */
static void add_first(const struct compiled *p, size_t i, struct byte_set *s)
{
    for (;; i++) {
        const struct step *x = &p->steps[i];
        switch ((enum step_kind)x->kind) {
        case STEP_DONE:
            memset(s, 0xff, sizeof s->bits);
            s->end = true;
            return;
        case STEP_TEXT: {
            const char one[2] = {p->template[x->text], '\0'};
            add_bytes(s, one);
            return;
        }
        case STEP_CLASS:
            add_class_bytes(s, x->class);
            if (template_classes[x->class].min)
                return;
            break;
        case STEP_IP:
            add_bytes(s, "0123456789abcdef:i");
            return;
        case STEP_LOCALHOST:
            add_bytes(s, "0123456789abcdef:il");
            return;
        case STEP_CHOICE:
            do
                add_first(p, i + 1, s);
            while ((i = p->steps[i].to) != 0);
            return;
        case STEP_JUMP:
            i = x->to - 1u;
            break;
        case STEP_LINE_END:
            s->end = true;
            return;
        case STEP_BOUNDARY:
        case STEP_NOT:
        case STEP_OPEN:
        case STEP_CLOSE:
            break;
        }
    }
}

static bool set_same(const struct byte_set *a, const struct byte_set *b)
{
    return memcmp(a->bits, b->bits, sizeof a->bits) == 0 && a->end == b->end;
}

static uint8_t set_number(struct template_memory *t, const struct byte_set *s)
{
    for (size_t i = 0; i < t->nsets; i++)
        if (set_same(&t->sets[i], s))
            return (uint8_t)i;
    if (t->nsets == SETS_MOST)
        return 0;
    *ARENA_PUSH(t->arena, t->sets, t->nsets, t->sets_cap) = *s;
    return (uint8_t)(t->nsets - 1);
}

static uint8_t first_of(struct template_memory *t, const struct compiled *p, size_t i)
{
    struct byte_set s = {.end = false};
    add_first(p, i, &s);
    return set_number(t, &s);
}

static bool meets_class(const struct byte_set *s, unsigned class)
{
    for (unsigned c = 0; c < 256; c++)
        if ((template_bytes[c] >> class & 1) && (s->bits[c / 64] >> c % 64 & 1))
            return true;
    return false;
}

static void find_follows(struct template_memory *t, struct compiled *p)
{
    p->first = first_of(t, p, 0);
    for (size_t i = 0; i < p->nsteps; i++) {
        struct step *s = &p->steps[i];
        if (s->kind != STEP_CLASS && s->kind != STEP_CHOICE)
            continue;
        s->follow = first_of(t, p, i + 1);
        s->alone = s->kind == STEP_CLASS && template_classes[s->class].max > UINT16_MAX &&
                   !meets_class(&t->sets[s->follow], s->class);
    }
}

/* --- what every match holds --- */

static void note_text(struct compiled *p, struct span text)
{
    if (text.n > p->literal.n)
        p->literal = text;
    for (size_t i = 0; i + 1 < text.n && p->npairs < NEEDED_PAIRS; i++)
        p->pairs[p->npairs++] = (uint16_t)pair_of(text.p[i], text.p[i + 1]);
}

/* The texts that stand in no choice, and the one in front. */
static void find_needs(struct compiled *p)
{
    enum { LEAD_MOST = 8 }; /* so many matter */
    size_t i = 0;
    p->literal = p->lead = SPAN("");
    while (p->steps[i].kind == STEP_BOUNDARY || p->steps[i].kind == STEP_OPEN)
        i++;
    if (p->steps[i].kind == STEP_TEXT)
        p->lead = span_sub(span_of(p->template + p->steps[i].text, p->steps[i].n), 0, LEAD_MOST);
    for (i = 0; p->steps[i].kind != STEP_DONE;) {
        const struct step *s = &p->steps[i];
        if (s->kind == STEP_TEXT)
            note_text(p, span_of(p->template + s->text, s->n));
        i = s->kind == STEP_CHOICE ? s->n : i + 1;
    }
}

struct compiled *template_compile(struct template_memory *t, const char *template)
{
    if (t->nsets == 0) {
        struct byte_set all = {.end = true};
        memset(all.bits, 0xff, sizeof all.bits);
        set_number(t, &all);
    }
    struct compiled *p = ARENA_NEW(t->arena, struct compiled);
    struct compiler c = {.t = t, .out = p, .at = template};
    p->template = template;
    add_sequence(&c);
    add(&c, STEP_DONE);
    find_needs(p);
    find_follows(t, p);
    return p;
}

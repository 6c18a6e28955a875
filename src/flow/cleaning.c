#include "flow/cleaning.h"

#include <stdlib.h>

#include "action/action.h"
#include "base/buf.h"
#include "base/xalloc.h"
#include "flow/guarded.h"

/* Parts that the engine is asked about; a message with more of them is not cleaned. */
enum { ASKED_MAX = 100 };

struct cleaning {
    bool looking; /* at what was not looked at; else: for what is to be taken out */
    struct virus_pool *pool;
    const struct settings *set;
    struct message *m;
    struct message probe; /* what the engine is asked about; with the arena of all that is made */
    struct parts *parts;
    size_t next;     /* to be asked about */
    size_t cap;      /* of facts.virus.parts */
    struct buf rest; /* the message without them */
    usec until;
    cleaning_done *done;
    void *ctx;
};

/* A message whose parts could not be asked about was not looked at as a whole. */
static void finish(struct cleaning *c, struct span why_not)
{
    struct virus_facts *v = &c->m->facts.virus;
    struct span why = why_not.p ? arena_dup(c->m->arena, why_not) : SPAN_NONE;
    if (!c->looking) {
        v->cleanable = !why.p;
        v->uncleanable = why;
    } else if (why.p && v->state == VIRUS_CLEAN) {
        v->state = VIRUS_ERROR;
        v->detail = why;
    }
    cleaning_done *done = c->done;
    void *ctx = c->ctx;
    arena_free(c->probe.arena);
    buf_free(&c->rest);
    free(c);
    done(ctx);
}

/* Everything of a stranger's making is done in here, with limits on memory and time. */
static bool within_limits(struct cleaning *c, void (*fn)(void *ctx))
{
    return guarded(&c->probe, c->set->limits.scan_time, fn, c);
}

static const char *why_unclean(enum virus_state s)
{
    const char *why = virus_why_unscanned(s);
    return why ? why : "something is found in the rest";
}

static void rest_answered(void *ctx, struct message *probe)
{
    enum virus_state s = probe->facts.virus.state;
    finish(ctx, s == VIRUS_CLEAN ? SPAN_NONE : span_str(why_unclean(s)));
}

/* As the actions will do it. */
static void cut_out(void *ctx)
{
    struct cleaning *c = ctx;
    const struct policy_action clean = {.kind = ACTION_CLEAN};
    const struct policy nobodys = {.name = "", .touch_signed = true};
    struct applied applied = {.policy = &nobodys};
    const struct decision d = {.policy = &nobodys,
                               .applied = &applied,
                               .napplied = 1,
                               .parts = c->parts,
                               .reason = "",
                               .clean = &clean};
    struct splices edits = {0};
    action_policy_edits(c->set, c->m, &d, c->probe.arena, &edits);
    splices_apply(&edits, c->m->raw, &c->rest);
}

static void ask_about_rest(struct cleaning *c)
{
    if (c->m->facts.virus.nparts == 0) {
        finish(c, SPAN("it is in no single part"));
    } else if (!within_limits(c, cut_out)) {
        finish(c, SPAN("it needs more memory than limits.message_memory"));
    } else {
        c->probe.raw = buf_span(&c->rest);
        virus_scan_until(c->pool, &c->probe, c->until, rest_answered, c);
    }
}

static void ask_about_next(struct cleaning *c);

static void found_in(struct cleaning *c, const struct part_facts *p,
                     const struct virus_facts *found)
{
    struct virus_facts *v = &c->m->facts.virus;
    if (c->looking) {
        v->state = found->state;
        v->name = arena_dup(c->m->arena, found->name);
        v->detail = arena_dup(c->m->arena, found->detail);
    } else {
        *ARENA_PUSH(c->m->arena, v->parts, v->nparts, c->cap) =
            (struct virus_part){p->number, p->sealed, arena_dup(c->m->arena, found->name)};
    }
}

static void part_answered(void *ctx, struct message *probe)
{
    struct cleaning *c = ctx;
    const struct part_facts *p = &c->parts->v[c->next++];
    const struct virus_facts *found = &probe->facts.virus;
    bool tells = found->state == VIRUS_FOUND || (c->looking && found->state != VIRUS_CLEAN);
    if (tells)
        found_in(c, p, found);
    if (c->looking && tells)
        finish(c, SPAN_NONE);
    else if (found->state == VIRUS_ERROR || found->state == VIRUS_NO_ENGINE)
        finish(c, span_str(virus_why_unscanned(found->state)));
    else
        ask_about_next(c);
}

static void decode(void *ctx)
{
    struct cleaning *c = ctx;
    c->probe.raw = mime_body(c->parts->mime, c->parts->v[c->next].part);
}

static const struct part_facts *around(const struct cleaning *c, const struct mime_part *part)
{
    for (size_t i = 0; i < c->parts->n; i++)
        if (c->parts->v[i].part == part)
            return &c->parts->v[i];
    return NULL;
}

static bool is_type(const struct part_facts *p, struct span type)
{
    for (size_t i = 0; p && i < p->ntypes; i++)
        if (span_eq(p->types[i], type))
            return true;
    return false;
}

static bool to_ask(const struct cleaning *c, const struct part_facts *p)
{
    if (p->part->child)
        return false;
    const struct part_facts *up = c->looking ? around(c, p->part->parent) : NULL;
    return !c->looking || is_type(up, SPAN("multipart/signed")) ||
           is_type(up, SPAN("multipart/parallel"));
}

static void ask_about_next(struct cleaning *c)
{
    while (c->next < c->parts->n && !to_ask(c, &c->parts->v[c->next]))
        c->next++;
    memset(&c->probe.facts, 0, sizeof c->probe.facts);
    if (c->next == c->parts->n && c->looking)
        finish(c, SPAN_NONE);
    else if (c->next == c->parts->n)
        ask_about_rest(c);
    else if (!within_limits(c, decode))
        finish(c, SPAN("it needs more memory than limits.message_memory"));
    else
        virus_scan_until(c->pool, &c->probe, c->until, part_answered, c);
}

static void take_apart(void *ctx)
{
    struct cleaning *c = ctx;
    const struct limits *l = &c->set->limits;
    const struct mime_limits limits = {l->mime_parts, l->mime_depth, l->mime_headers};
    c->parts = parts_new(mime_parse(c->probe.arena, c->m->raw, &limits), NULL, c->probe.arena);
}

static void begin(struct cleaning *c, const struct message *m, usec since)
{
    c->until = since + c->set->virus.scan_timeout;
    memcpy(c->probe.id, m->id, sizeof c->probe.id);
    c->probe.arena = arena_new(c->set->limits.message_memory);
    if (!within_limits(c, take_apart))
        finish(c, SPAN("it needs more memory than limits.message_memory"));
    else if (c->parts->n > ASKED_MAX && !c->looking)
        finish(c, SPAN("it has too many parts"));
    else
        ask_about_next(c);
}

void cleaning_run(struct virus_pool *p, const struct settings *set, struct message *m, usec since,
                  cleaning_done *done, void *ctx)
{
    struct cleaning *c = xcalloc(1, sizeof *c);
    *c = (struct cleaning){.pool = p, .set = set, .m = m, .done = done, .ctx = ctx};
    begin(c, m, since);
}

/* An attached message may be encoded, with anything in it. */
static bool names_blind_type(struct span before, struct span behind)
{
    if (span_iends(before, SPAN("multipart")))
        return span_istarts(behind, SPAN("signed")) || span_istarts(behind, SPAN("parallel"));
    return span_iends(before, SPAN("message")) &&
           (span_istarts(behind, SPAN("rfc822")) || span_istarts(behind, SPAN("global")));
}

bool cleaning_blind(const struct message *m)
{
    struct span rest = m->raw;
    for (size_t at; (at = span_find(rest, '/')) != SIZE_MAX; rest = span_from(rest, at + 1))
        if (names_blind_type(span_sub(rest, 0, at), span_from(rest, at + 1)))
            return true;
    return false;
}

void cleaning_look(struct virus_pool *p, const struct settings *set, struct message *m, usec since,
                   cleaning_done *done, void *ctx)
{
    struct cleaning *c = xcalloc(1, sizeof *c);
    *c =
        (struct cleaning){.looking = true, .pool = p, .set = set, .m = m, .done = done, .ctx = ctx};
    begin(c, m, since);
}

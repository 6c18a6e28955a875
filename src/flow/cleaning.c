#include "flow/cleaning.h"

#include <stdlib.h>

#include "action/action.h"
#include "base/buf.h"
#include "base/xalloc.h"
#include "flow/guarded.h"

/* Parts that the engine is asked about; a message with more of them is not cleaned. */
enum { ASKED_MAX = 100 };

struct cleaning {
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

static void finish(struct cleaning *c, struct span why_not)
{
    struct virus_facts *v = &c->m->facts.virus;
    v->cleanable = !why_not.p;
    v->uncleanable = why_not.p ? arena_dup(c->m->arena, why_not) : SPAN_NONE;
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

static void part_answered(void *ctx, struct message *probe)
{
    struct cleaning *c = ctx;
    struct virus_facts *v = &c->m->facts.virus;
    const struct part_facts *p = &c->parts->v[c->next++];
    const struct virus_facts *found = &probe->facts.virus;
    if (found->state == VIRUS_FOUND)
        *ARENA_PUSH(c->m->arena, v->parts, v->nparts, c->cap) =
            (struct virus_part){p->number, p->sealed, arena_dup(c->m->arena, found->name)};
    if (found->state == VIRUS_ERROR || found->state == VIRUS_NO_ENGINE)
        finish(c, span_str(virus_why_unscanned(found->state)));
    else
        ask_about_next(c);
}

static void decode(void *ctx)
{
    struct cleaning *c = ctx;
    c->probe.raw = mime_body(c->parts->mime, c->parts->v[c->next].part);
}

static void ask_about_next(struct cleaning *c)
{
    while (c->next < c->parts->n && c->parts->v[c->next].part->child)
        c->next++;
    memset(&c->probe.facts, 0, sizeof c->probe.facts);
    if (c->next == c->parts->n)
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

void cleaning_run(struct virus_pool *p, const struct settings *set, struct message *m, usec since,
                  cleaning_done *done, void *ctx)
{
    struct cleaning *c = xcalloc(1, sizeof *c);
    *c = (struct cleaning){.pool = p,
                           .set = set,
                           .m = m,
                           .until = since + set->virus.scan_timeout,
                           .done = done,
                           .ctx = ctx};
    memcpy(c->probe.id, m->id, sizeof c->probe.id);
    c->probe.arena = arena_new(set->limits.message_memory);
    if (!within_limits(c, take_apart))
        finish(c, SPAN("it needs more memory than limits.message_memory"));
    else if (c->parts->n > ASKED_MAX)
        finish(c, SPAN("it has too many parts"));
    else
        ask_about_next(c);
}

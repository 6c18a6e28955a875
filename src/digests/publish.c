/* What the services said, by name: for policies, scripts and the receipt. */
#include <inttypes.h>

#include "digests/digests.h"

static void add(struct message *m, const char *name, int64_t n)
{
    if (n >= 0)
        facts_add(&m->facts, m->arena, name, arena_printf(m->arena, "%" PRId64, n));
}

/* Unavailable, or not asked for a reason that is worth telling. */
static void add_why(struct message *m, const char *check, const char *fact, enum digest_state state,
                    const char *why)
{
    if (state == DIGEST_ANSWERED || !why[0])
        return;
    struct span text = arena_dup(m->arena, span_str(why));
    facts_skip(&m->facts, m->arena, check, text);
    if (state == DIGEST_UNAVAILABLE)
        facts_add(&m->facts, m->arena, fact, text);
}

static void publish_pyzor(struct message *m, const struct pyzor_fact *f)
{
    add_why(m, "pyzor", "pyzor.unavailable", f->state, f->why);
    if (f->digest[0])
        facts_add(&m->facts, m->arena, "pyzor.digest", arena_dup(m->arena, span_str(f->digest)));
    if (f->state != DIGEST_ANSWERED)
        return;
    add(m, "pyzor.count", (int64_t)(f->count & INT64_MAX));
    add(m, "pyzor.welcome", (int64_t)(f->welcome & INT64_MAX));
}

static void publish_dcc(struct message *m, const struct dcc_fact *f)
{
    add_why(m, "dcc", "dcc.unavailable", f->state, f->why);
    if (f->state != DIGEST_ANSWERED)
        return;
    facts_add(&m->facts, m->arena, "dcc.metrics", arena_dup(m->arena, span_str(f->metrics)));
    add(m, "dcc.body", f->body);
    add(m, "dcc.fuz1", f->fuz1);
    add(m, "dcc.fuz2", f->fuz2);
    add(m, "dcc.reputation", f->reputation);
}

static void publish_razor(struct message *m, const struct razor_fact *f)
{
    add_why(m, "razor", "razor.unavailable", f->state, f->why);
    if (f->state != DIGEST_ANSWERED)
        return;
    int best = 0;
    for (size_t i = 0; i <= RAZOR_ENGINE_MAX; i++)
        best = f->confidence[i] > best ? f->confidence[i] : best;
    facts_add(&m->facts, m->arena, "razor.spam", f->spam ? SPAN("yes") : SPAN("no"));
    add(m, "razor.confidence", best);
}

void digests_publish(struct message *m)
{
    publish_pyzor(m, &m->facts.digests.pyzor);
    publish_dcc(m, &m->facts.digests.dcc);
    publish_razor(m, &m->facts.digests.razor);
}

#include "flow/answer.h"

#include "action/action.h"
#include "base/map.h"
#include "rules/report.h"

enum { EVIDENCE_MAX = 200 };

bool answer_stamped(const struct message *m)
{
    char ip[IP_TEXT_SIZE];
    if (!m->peer.has_ip)
        return false;
    struct span top = span_sub(m->raw, 0, 64 * 1024), line;
    size_t at = span_isearch(top, SPAN("Received:"));
    while (at != SIZE_MAX && at > 0 && top.p[at - 1] != '\n') {
        size_t next = span_isearch(span_from(top, at + 1), SPAN("Received:"));
        at = next == SIZE_MAX ? SIZE_MAX : at + 1 + next;
    }
    if (at == SIZE_MAX)
        return false;
    struct span rest = span_from(top, at), address = span_str(ip_text(&m->peer.ip, ip));
    for (bool first = true; span_line(&rest, &line); first = false) {
        if (!first && (line.n == 0 || (line.p[0] != ' ' && line.p[0] != '\t')))
            break;
        size_t found = span_isearch(line, address);
        if (found == SIZE_MAX)
            continue;
        struct span behind = span_from(line, found + address.n);
        return behind.n == 0 || !(ascii_isalnum(behind.p[0]) || behind.p[0] == '.');
    }
    return false;
}

/* ---- which decision ---- */

static int rank(const struct decision *d)
{
    switch (d->outcome) {
    case OUT_CLEAN:
        return 6;
    case OUT_TAG:
        return 5;
    case OUT_ACCEPT:
        return 4;
    case OUT_HOLD:
        return 3;
    case OUT_REJECT:
        return 2;
    case OUT_DISCARD:
        return 1;
    case OUT_DEFER:
        break;
    }
    return 7; /* everybody waits */
}

static uint32_t choose(const struct verdict *v)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < v->n; i++)
        if (rank(&v->v[i]) > rank(&v->v[best]))
            best = i;
    return best;
}

/* ---- the parts ---- */

/* A virus becomes a hit, because these protocols have no other word for it. */
static void add_virus(struct report_on *r, const struct decision *d)
{
    struct arena *a = r->arena;
    const struct virus_facts *virus = &r->m->facts.virus;
    if (virus->state != VIRUS_FOUND || d->clean || d->policy->on_virus == OUT_ACCEPT)
        return;
    struct rules_facts *f = ARENA_NEW(a, struct rules_facts);
    *f = *r->facts;
    f->hits = arena_array(a, f->nhits + 1, sizeof *f->hits);
    if (f->nhits)
        memcpy(f->hits, r->facts->hits, f->nhits * sizeof *f->hits);
    f->hits[f->nhits++] = (struct rule_hit){
        .name = "GATEHOUSE_VIRUS",
        .score = d->policy->reject_score,
        .area = "",
        .describe = arena_printf(a, "Virus: %.*s", SPAN_ARG(virus->name)).p,
        .evidence = virus->name,
        .count = 1,
    };
    f->score += d->policy->reject_score;
    r->score = f->score;
    r->spam = true;
    r->facts = f;
}

static void add_hits(const struct report_on *r, struct scan_answer *out)
{
    const struct rules_facts *f = r->facts;
    out->hits = arena_array(r->arena, f->nhits, sizeof *out->hits);
    out->nhits = f->nhits;
    for (size_t i = 0; i < f->nhits; i++)
        out->hits[i] = (struct scan_hit){.name = span_str(f->hits[i].name),
                                         .describe = span_str(f->hits[i].describe),
                                         .evidence = span_sub(f->hits[i].evidence, 0, EVIDENCE_MAX),
                                         .score = f->hits[i].score,
                                         .count = f->hits[i].count};
}

/* SpamAssassin's marks, on the message as policies want it. */
static bool rewrite(const struct settings *set, const struct report_on *on,
                    const struct decision *d, struct splices *out)
{
    const struct message *m = on->m;
    struct arena *a = on->arena;
    uint64_t seed = map_hash(span_str(m->id));
    struct splices edits = {0}, marks = {0};
    action_policy_edits(set, m, d, a, &edits);
    if (edits.n == 0)
        return report_rewrite(on, seed, set->limits.header_bytes, out);
    struct buf edited = {0}, marked = {0};
    struct message changed = *m;
    struct report_on r = *on;
    splices_apply(&edits, m->raw, &edited);
    changed.raw = buf_span(&edited);
    r.m = &changed;
    bool fine = report_rewrite(&r, seed, set->limits.header_bytes, &marks);
    if (fine) {
        splices_apply(&marks, changed.raw, &marked);
        splices_add(out, a, 0, m->raw.n, arena_dup(a, buf_span(&marked)));
    }
    buf_free(&edited);
    buf_free(&marked);
    return fine;
}

void answer_make(const struct settings *set, const struct conf *conf, const struct message *m,
                 const struct verdict *v, unsigned want, struct scan_answer *out)
{
    *out = (struct scan_answer){.group = choose(v)};
    const struct decision *d = &v->v[out->group];
    struct arena *a = m->arena;
    if (!d->opinion && !conf)
        return;
    arena_limit(a, 0); /* what follows is bounded, and the rules are done */
    struct report_on r = d->opinion ? report_on_opinion(d->opinion, m, a) : report_on(conf, m, a);
    if (!r.facts->ran)
        return;
    r.hostname = set->hostname;
    r.required = d->required;
    r.spam = d->spam;
    add_virus(&r, d);
    out->judged = true;
    out->spam = r.spam;
    out->score = r.score;
    out->required = r.required;
    out->shown = report_score(&r);
    out->names = r.facts->nhits ? report_expand(&r, SPAN("_TESTS(,)_")) : SPAN("");
    if (want & WANT_HITS)
        add_hits(&r, out);
    if (want & WANT_REPORT)
        out->report = report_text(&r);
    if (want & WANT_REWRITE)
        out->rewritten = rewrite(set, &r, d, &out->rewrite);
}

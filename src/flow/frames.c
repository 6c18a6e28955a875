#include "flow/frames.h"

#include <stdlib.h>

#include "base/xalloc.h"

/* The smallest encodings, so that a count can be checked against the bytes that are left. */
enum { GROUP_MIN = 1 + 4 * 3 + 1 + 4 + 4 + 4 + 1 + 4 + 4, RCPT_INDEX = 4, HIT_MIN = 4 * 3 + 8 + 4 };

enum { STORE_SCANNED = 1, STORE_ELSEWHERE = 2, STORE_HELD_ELSEWHERE = 4 };

static void id_encode(struct buf *b, const char id[ID_SIZE])
{
    buf_add(b, span_of(id, ID_LEN));
}

/* An id becomes a file name and a log field: only the real form passes. */
static void id_decode(struct cursor *c, char id[ID_SIZE])
{
    struct span s = cursor_bytes(c, ID_LEN);
    memset(id, 0, ID_SIZE);
    if (!id_valid(s))
        c->failed = true;
    else
        memcpy(id, s.p, ID_LEN);
}

static struct span str_decode(struct cursor *c, struct arena *a)
{
    struct span s = cursor_lstr(c);
    return s.p ? arena_dup(a, s) : s;
}

enum { FACTS_MAX = 256, FACT_MIN = 8 }; /* of a request; bytes of one */

static void facts_encode(struct buf *b, const struct scan_request *r)
{
    buf_u32(b, (uint32_t)(r->nfacts < FACTS_MAX ? r->nfacts : FACTS_MAX));
    for (size_t i = 0; i < r->nfacts && i < FACTS_MAX; i++) {
        buf_lstr(b, span_str(r->facts[i].name));
        buf_lstr(b, r->facts[i].value);
    }
}

static void facts_decode(struct cursor *c, struct arena *a, struct scan_request *r)
{
    r->nfacts = cursor_u32(c);
    if (r->nfacts > FACTS_MAX || r->nfacts > c->rest.n / FACT_MIN) {
        c->failed = true;
        r->nfacts = 0;
    }
    r->facts_cap = r->nfacts;
    r->facts = arena_array(a, r->nfacts, sizeof *r->facts);
    for (size_t i = 0; i < r->nfacts; i++) {
        r->facts[i].name = arena_cstr(a, cursor_lstr(c));
        r->facts[i].value = str_decode(c, a);
    }
}

static void request_encode(struct buf *b, const struct scan_request *r)
{
    id_encode(b, r->id);
    buf_u64(b, (uint64_t)r->received);
    peer_encode(b, &r->peer);
    envelope_encode(b, &r->env);
    buf_u32(b, r->crashes);
    buf_u8(b, r->want);
    buf_u8(b, r->teach);
    buf_lstr(b, r->user);
    facts_encode(b, r);
    said_encode(b, &r->said);
}

static void request_decode(struct cursor *c, struct arena *a, struct scan_request *r)
{
    memset(r, 0, sizeof *r);
    id_decode(c, r->id);
    r->received = (usec)cursor_u64(c);
    peer_decode(c, a, &r->peer);
    envelope_decode(c, a, &r->env);
    r->crashes = cursor_u32(c);
    r->want = cursor_u8(c);
    r->teach = cursor_u8(c);
    r->user = str_decode(c, a);
    facts_decode(c, a, r);
    said_decode(c, a, &r->said);
    c->failed |= r->said.neach > r->env.nrcpts;
}

void scan_request_encode(struct buf *b, const struct scan_request *r)
{
    request_encode(b, r);
}

/* First bytes: the queue outlives a version of the program, and another one may know other actions
 * by these numbers. */
enum { KNOWN_WIRE = 1 };

void scan_known_encode(struct buf *b, const struct scan_request *r)
{
    buf_u8(b, KNOWN_WIRE);
    buf_u8(b, ACTION_KINDS);
    facts_encode(b, r);
    said_encode(b, &r->said);
}

bool scan_known_decode(struct span known, struct arena *a, struct scan_request *r)
{
    struct cursor c = cursor_over(known);
    struct scan_request x = {0};
    c.failed = cursor_u8(&c) != KNOWN_WIRE || cursor_u8(&c) != ACTION_KINDS;
    facts_decode(&c, a, &x);
    said_decode(&c, a, &x.said);
    if (!cursor_ok(&c) || x.said.neach > r->env.nrcpts)
        return false;
    r->facts = x.facts;
    r->nfacts = x.nfacts;
    r->facts_cap = x.facts_cap;
    r->said = x.said;
    return true;
}

bool scan_request_decode(struct span payload, struct arena *a, struct scan_request *r)
{
    struct cursor c = cursor_over(payload);
    request_decode(&c, a, r);
    return cursor_ok(&c);
}

static void group_encode(struct buf *b, const struct group *g)
{
    buf_u8(b, (uint8_t)g->outcome);
    buf_lstr(b, g->policy);
    buf_lstr(b, g->reason);
    buf_lstr(b, g->detail);
    buf_u8(b, g->unscanned);
    buf_u32(b, (uint32_t)g->nrcpts);
    for (size_t i = 0; i < g->nrcpts; i++)
        buf_u32(b, g->rcpts[i]);
    buf_lstr(b, g->reply);
    splices_encode(b, &g->edits);
    delivery_encode(b, &g->delivery);
}

static void group_decode(struct cursor *c, struct arena *a, struct group *g)
{
    uint8_t outcome = cursor_u8(c);
    if (outcome > OUT_DISCARD)
        c->failed = true;
    g->outcome = c->failed ? OUT_DEFER : (enum outcome)outcome;
    g->policy = str_decode(c, a);
    g->reason = str_decode(c, a);
    g->detail = str_decode(c, a);
    g->unscanned = cursor_u8(c) != 0;
    g->nrcpts = cursor_u32(c);
    if (g->nrcpts > c->rest.n / RCPT_INDEX) {
        c->failed = true;
        g->nrcpts = 0;
    }
    g->rcpts = arena_array(a, g->nrcpts, sizeof *g->rcpts);
    for (size_t i = 0; i < g->nrcpts; i++)
        g->rcpts[i] = cursor_u32(c);
    g->reply = str_decode(c, a);
    splices_decode(c, a, &g->edits);
    delivery_decode(c, a, &g->delivery);
}

static void answer_encode(struct buf *b, const struct scan_answer *s)
{
    buf_u8(b, s->judged);
    if (!s->judged)
        return;
    buf_u8(b, s->spam);
    buf_f64(b, s->score);
    buf_f64(b, s->required);
    buf_lstr(b, s->shown);
    buf_lstr(b, s->names);
    buf_u32(b, s->group);
    buf_u32(b, (uint32_t)s->nhits);
    for (size_t i = 0; i < s->nhits; i++) {
        buf_lstr(b, s->hits[i].name);
        buf_lstr(b, s->hits[i].describe);
        buf_lstr(b, s->hits[i].evidence);
        buf_f64(b, s->hits[i].score);
        buf_u32(b, s->hits[i].count);
    }
    buf_lstr(b, s->report);
    buf_u8(b, s->rewritten);
    splices_encode(b, &s->rewrite);
}

static void answer_decode(struct cursor *c, struct arena *a, struct scan_answer *s)
{
    s->judged = cursor_u8(c) != 0;
    if (!s->judged)
        return;
    s->spam = cursor_u8(c) != 0;
    s->score = cursor_f64(c);
    s->required = cursor_f64(c);
    s->shown = str_decode(c, a);
    s->names = str_decode(c, a);
    s->group = cursor_u32(c);
    s->nhits = cursor_u32(c);
    if (s->nhits > c->rest.n / HIT_MIN) {
        c->failed = true;
        s->nhits = 0;
    }
    s->hits = arena_array(a, s->nhits, sizeof *s->hits);
    for (size_t i = 0; i < s->nhits; i++) {
        s->hits[i].name = str_decode(c, a);
        s->hits[i].describe = str_decode(c, a);
        s->hits[i].evidence = str_decode(c, a);
        s->hits[i].score = cursor_f64(c);
        s->hits[i].count = cursor_u32(c);
    }
    s->report = str_decode(c, a);
    s->rewritten = cursor_u8(c) != 0;
    splices_decode(c, a, &s->rewrite);
}

static void result_encode(struct buf *b, const struct scan_result *r)
{
    id_encode(b, r->id);
    buf_f64(b, r->score);
    buf_f64(b, r->required);
    buf_lstr(b, r->virus);
    buf_lstr(b, r->receipt);
    buf_lstr(b, r->subject);
    buf_lstr(b, r->header_from);
    buf_lstr(b, r->message_id);
    buf_lstr(b, r->spf_domain);
    buf_lstr(b, r->sign);
    buf_u64(b, r->micros);
    buf_u32(b, (uint32_t)r->ngroups);
    for (size_t i = 0; i < r->ngroups; i++)
        group_encode(b, &r->groups[i]);
    answer_encode(b, &r->answer);
    mails_encode(b, &r->mails);
    buf_lstr(b, r->reports);
    buf_u8(b, r->taught);
    buf_lstr(b, r->taught_why);
}

static void result_decode(struct cursor *c, struct arena *a, struct scan_result *r)
{
    memset(r, 0, sizeof *r);
    id_decode(c, r->id);
    r->score = cursor_f64(c);
    r->required = cursor_f64(c);
    r->virus = str_decode(c, a);
    r->receipt = str_decode(c, a);
    r->subject = str_decode(c, a);
    r->header_from = str_decode(c, a);
    r->message_id = str_decode(c, a);
    r->spf_domain = str_decode(c, a);
    r->sign = str_decode(c, a);
    r->micros = cursor_u64(c);
    r->ngroups = cursor_u32(c);
    if (r->ngroups > c->rest.n / GROUP_MIN) {
        c->failed = true;
        r->ngroups = 0;
    }
    r->groups = arena_array(a, r->ngroups, sizeof *r->groups);
    for (size_t i = 0; i < r->ngroups; i++)
        group_decode(c, a, &r->groups[i]);
    answer_decode(c, a, &r->answer);
    if (r->answer.judged && r->answer.group >= r->ngroups)
        c->failed = true;
    mails_decode(c, a, &r->mails);
    r->reports = str_decode(c, a);
    r->taught = cursor_u8(c);
    r->taught_why = str_decode(c, a);
}

void scan_result_encode(struct buf *b, const struct scan_result *r)
{
    result_encode(b, r);
}

bool scan_result_decode(struct span payload, struct arena *a, struct scan_result *r)
{
    struct cursor c = cursor_over(payload);
    result_decode(&c, a, r);
    return cursor_ok(&c);
}

bool scan_result_fits(const struct scan_result *r, const struct envelope *env)
{
    bool *seen = xcalloc(env->nrcpts, sizeof *seen), fits = true;
    size_t n = 0;
    for (size_t i = 0; i < r->ngroups; i++) {
        for (size_t j = 0; fits && j < r->groups[i].nrcpts; j++, n++) {
            uint32_t rcpt = r->groups[i].rcpts[j];
            fits = rcpt < env->nrcpts && !seen[rcpt];
            if (fits)
                seen[rcpt] = true;
        }
    }
    free(seen);
    return fits && n == env->nrcpts;
}

void store_request_encode(struct buf *b, const struct store_request *r)
{
    request_encode(b, &r->req);
    buf_u8(b, (uint8_t)((r->scanned ? STORE_SCANNED : 0) | (r->elsewhere ? STORE_ELSEWHERE : 0) |
                        (r->held_elsewhere ? STORE_HELD_ELSEWHERE : 0)));
    if (r->scanned)
        result_encode(b, &r->result);
}

bool store_request_decode(struct span payload, struct arena *a, struct store_request *r)
{
    struct cursor c = cursor_over(payload);
    memset(r, 0, sizeof *r);
    request_decode(&c, a, &r->req);
    uint8_t flags = cursor_u8(&c);
    if (flags > (STORE_SCANNED | STORE_ELSEWHERE | STORE_HELD_ELSEWHERE))
        c.failed = true;
    r->scanned = flags & STORE_SCANNED;
    r->elsewhere = flags & STORE_ELSEWHERE;
    r->held_elsewhere = flags & STORE_HELD_ELSEWHERE;
    if (!r->scanned && (r->elsewhere || r->held_elsewhere))
        c.failed = true;
    if (r->scanned)
        result_decode(&c, a, &r->result);
    return cursor_ok(&c) && (!r->scanned || scan_result_fits(&r->result, &r->req.env));
}

void store_result_encode(struct buf *b, const struct store_result *r)
{
    buf_u8(b, (uint8_t)r->code);
    buf_lstr(b, r->text);
}

bool store_result_decode(struct span payload, struct arena *a, struct store_result *r)
{
    struct cursor c = cursor_over(payload);
    uint8_t code = cursor_u8(&c);
    r->code = code <= STORE_FAILED ? (enum store_code)code : STORE_FAILED;
    r->text = str_decode(&c, a);
    return cursor_ok(&c) && code <= STORE_FAILED;
}

void script_request_encode(struct buf *b, const struct script_request *r)
{
    id_encode(b, r->id);
    buf_u8(b, (uint8_t)r->call);
    peer_encode(b, &r->peer);
    buf_lstr(b, r->from);
    buf_lstr(b, r->to);
    buf_lstr(b, r->map);
}

bool script_request_decode(struct span payload, struct arena *a, struct script_request *r)
{
    struct cursor c = cursor_over(payload);
    *r = (struct script_request){0};
    id_decode(&c, r->id);
    uint8_t call = cursor_u8(&c);
    r->call = (enum script_call)call;
    peer_decode(&c, a, &r->peer);
    r->from = str_decode(&c, a);
    r->to = str_decode(&c, a);
    r->map = str_decode(&c, a);
    bool one = call && call <= CALLS_ALL && (call & (call - 1)) == 0;
    bool fits =
        (!(call & (CALL_RECIPIENT | CALL_MAP)) || r->to.p) && (call != CALL_MAP || r->map.p);
    return cursor_ok(&c) && one && fits;
}

void script_result_encode(struct buf *b, const struct script_result *r)
{
    buf_u8(b, (uint8_t)r->code);
    buf_lstr(b, r->text);
    saying_encode(b, &r->says);
}

bool script_result_decode(struct span payload, struct arena *a, struct script_result *r)
{
    struct cursor c = cursor_over(payload);
    *r = (struct script_result){0};
    uint8_t code = cursor_u8(&c);
    r->code = code <= SCRIPT_FAILED ? (enum script_code)code : SCRIPT_FAILED;
    r->text = str_decode(&c, a);
    saying_decode(&c, a, &r->says);
    return cursor_ok(&c) && code <= SCRIPT_FAILED;
}

void rcpt_request_encode(struct buf *b, const struct rcpt_request *r)
{
    buf_lstr(b, r->addr);
}

bool rcpt_request_decode(struct span payload, struct arena *a, struct rcpt_request *r)
{
    struct cursor c = cursor_over(payload);
    r->addr = str_decode(&c, a);
    return cursor_ok(&c) && r->addr.n > 0;
}

void rcpt_result_encode(struct buf *b, const struct rcpt_result *r)
{
    buf_u8(b, (uint8_t)r->code);
    buf_lstr(b, r->text);
}

bool rcpt_result_decode(struct span payload, struct arena *a, struct rcpt_result *r)
{
    struct cursor c = cursor_over(payload);
    uint8_t code = cursor_u8(&c);
    r->code = code <= RCPT_TEMPFAIL ? (enum rcpt_code)code : RCPT_TEMPFAIL;
    r->text = str_decode(&c, a);
    return cursor_ok(&c) && code <= RCPT_TEMPFAIL;
}

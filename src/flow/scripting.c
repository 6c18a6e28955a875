#include "flow/scripting.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "flow/guarded.h"
#include "kv/kv.h"

struct scripting {
    const struct settings *set;
    const struct script_settings *of;
    struct script *script; /* NULL: it can't be used, why */
    struct script_store store;
    struct kv *memory; /* of the scanner, as the last message told; NULL: nothing is remembered */
    struct magic *magic;
    uv_timer_t *tick;
    struct err why;
    /* The message in hand. */
    struct message *m;
    struct parts *parts;
    struct wishes *out;
    /* The question in hand. */
    const struct script_request *question;
    struct script_result *answer;
};

/* --- what scripts remember --- */

static bool get(void *ctx, struct span key, struct buf *value)
{
    struct kv *k = ((struct scripting *)ctx)->memory;
    return k && kv_get(k, KV_SCRIPT, key, clock_wall(), value) == KV_OK;
}

static bool put(void *ctx, struct span key, struct span value, usec until)
{
    struct kv *k = ((struct scripting *)ctx)->memory;
    return k && kv_put(k, KV_SCRIPT, key, value, until) == KV_OK;
}

static bool forget(void *ctx, struct span key)
{
    struct kv *k = ((struct scripting *)ctx)->memory;
    return k && kv_delete(k, KV_SCRIPT, key) == KV_OK;
}

struct adding {
    int64_t by, sum;
    usec until;
};

static enum kv_change add_to(void *ctx, struct span old, struct buf *fresh, usec *until)
{
    struct adding *x = ctx;
    uint64_t now = 0;
    bool minus = old.n && old.p[0] == '-';
    if (!span_u64(span_from(old, minus), &now) || now > INT64_MAX)
        now = 0;
    x->sum = (int64_t)((minus ? 0 - now : now) + (uint64_t)x->by);
    if (!old.p)
        *until = x->until;
    buf_printf(fresh, "%lld", (long long)x->sum);
    return KV_WRITE;
}

static bool add(void *ctx, struct span key, int64_t by, usec until, int64_t *sum)
{
    struct kv *k = ((struct scripting *)ctx)->memory;
    struct adding x = {.by = by, .until = until};
    bool kept = k && kv_update(k, KV_SCRIPT, key, clock_wall(), add_to, &x) == KV_OK;
    *sum = x.sum;
    return kept;
}

/* --- the machine --- */

static void on_tick(uv_timer_t *t)
{
    struct scripting *x = t->data;
    struct err e;
    if (script_tick(x->script, &e) != 0)
        log_event(LOG_WARN, NULL, "script-tick-failed", F_STR("why", e.text));
}

static void tick_closed(uv_handle_t *h)
{
    free(h);
}

struct scripting *scripting_new(uv_loop_t *loop, const struct settings *set,
                                const struct script_settings *script)
{
    if (!script->file)
        return NULL;
    struct scripting *x = xcalloc(1, sizeof *x);
    x->set = set;
    x->of = script;
    x->store = (struct script_store){x, get, put, forget, add};
    x->script = script_new(script, &x->store, &x->why);
    if (!x->script) {
        log_event(LOG_FAULT, NULL, "script-not-usable", F_STR("why", x->why.text));
        return x;
    }
    x->magic = script_wants_parts(x->script) ? magic_new() : NULL;
    x->tick = xcalloc(1, sizeof *x->tick);
    uv_timer_init(loop, x->tick);
    x->tick->data = x;
    uint64_t ms = (uint64_t)(script->tick / 1000);
    uv_timer_start(x->tick, on_tick, ms, ms);
    uv_unref((uv_handle_t *)x->tick);
    return x;
}

void scripting_free(struct scripting *x)
{
    if (!x)
        return;
    if (x->tick)
        uv_close((uv_handle_t *)x->tick, tick_closed);
    script_free(x->script);
    magic_free(x->magic);
    free(x);
}

void scripting_memory(struct scripting *x, struct kv *memory)
{
    if (x)
        x->memory = memory;
}

bool scripting_wants_parts(const struct scripting *x)
{
    return x && x->script && script_wants_parts(x->script);
}

struct magic *scripting_magic(const struct scripting *x)
{
    return x ? x->magic : NULL;
}

static void run(void *ctx)
{
    struct scripting *x = ctx;
    script_run(x->script, x->m, x->parts, x->out);
}

void scripting_ask(struct scripting *x, struct message *m, struct parts *parts, struct wishes *out)
{
    if (!x)
        return;
    if (!x->script) {
        script_failed(x->of, m, x->why.text, out);
        return;
    }
    x->m = m;
    x->parts = parts;
    x->out = out;
    x->memory = m->memory;
    /* Nothing may jump out of the Lua machine; what a script makes is limited by counts. */
    arena_limit(m->arena, 0);
    guarded(m, x->set->limits.scan_time, run, x);
}

/* --- questions at commands --- */

unsigned scripting_calls(const struct scripting *x)
{
    return x && x->script ? script_calls(x->script) : 0;
}

static void answer(void *ctx)
{
    struct scripting *x = ctx;
    const struct script_request *q = x->question;
    struct script_result *r = x->answer;
    struct err e;
    int rc;
    if (q->call == CALL_MAP) {
        rc = script_map(x->script, q->map, q->to, x->m->arena, &r->text, &e);
        r->code = rc > 0 ? SCRIPT_ANSWERED : SCRIPT_NOTHING;
    } else {
        rc = script_stage(x->script, q->call, x->m, q->to, &r->says, &e);
        r->code = SCRIPT_ANSWERED;
    }
    if (rc < 0) {
        r->code = SCRIPT_FAILED;
        r->text = arena_printf(x->m->arena, "%s", e.text);
        log_event(LOG_FAULT, q->id, "script-failed", F_STR("why", e.text));
    }
}

void scripting_stage(struct scripting *x, struct message *m, const struct script_request *q,
                     struct script_result *out)
{
    *out = (struct script_result){.code = SCRIPT_FAILED, .text = SPAN("there is no script")};
    if (!x || !x->script)
        return;
    *out = (struct script_result){0};
    x->m = m;
    x->question = q;
    x->answer = out;
    x->memory = m->memory;
    arena_limit(m->arena, 0);
    guarded(m, x->of->timeout, answer, x);
}

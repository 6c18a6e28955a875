#include "cli/check_cost.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/pool.h"
#include "cli/source.h"

enum { SHOWN = 25 };

struct cost {
    const struct settings *s;
    const struct ruleset *rs;
    struct rules_profile *profile; /* shared with the worker */
    struct items items;
    size_t failed;
    /* In the worker: */
    struct rules_scratch *scratch;
    struct message *m;
};

/* --- a sample --- */

static void start(void *ctx)
{
    struct cost *c = ctx;
    c->scratch = rules_scratch_new(c->rs);
    rules_scratch_profile(c->scratch, c->profile);
    c->m = message_new(c->s->limits.message_memory);
}

static void work(void *ctx, size_t index, struct pool_result *r, struct buf *out)
{
    struct cost *c = ctx;
    message_reset(c->m);
    if (source_read(&c->items.v[index], c->m) != 0) {
        r->failed = true;
        buf_str(out, strerror(errno));
    } else {
        rules_run(c->rs, c->scratch, c->m);
    }
}

static void take(void *ctx, size_t index, const struct pool_result *r)
{
    struct cost *c = ctx;
    c->failed += r->failed;
    if (r->failed)
        fprintf(stderr, "gatehouse check: %s: %.*s\n", c->items.v[index].name, SPAN_ARG(r->text));
}

static int judge(struct cost *c)
{
    const struct pool_calls calls = {start, work, take, NULL, c};
    ruleset_warm(c->rs, true);
    return pool_run(c->items.n, 1, &calls);
}

static bool measure(struct cost *c, char **paths)
{
    for (; *paths; paths++)
        source_add(&c->items, *paths, SOURCE_AUTO);
    void *p = mmap(NULL, rules_profile_size(c->rs), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        fprintf(stderr, "gatehouse check: no memory for a profile\n");
        return false;
    }
    c->profile = p;
    if (judge(c) != 0)
        fprintf(stderr, "gatehouse check: no process can be started: %s\n", strerror(errno));
    else if (rules_profile_messages(c->profile) == 0)
        fprintf(stderr, "gatehouse check: no message of the sample could be judged\n");
    else
        return true;
    return false;
}

/* --- shown --- */

static void print_guard(const struct rule_cost *v)
{
    if (v->always || v->chances < 0)
        printf(" (on every string)");
    else
        printf(" (where its words stand: %.3g times)", v->chances);
}

static void print(const struct rule_cost *v, size_t n, uint64_t messages)
{
    if (messages)
        printf("%12s %7s %9s %9s  rule, on %llu messages\n", "us/message", "share", "tries",
               "messages", (unsigned long long)messages);
    else
        printf("%12s %7s  rule, for a message of %d bytes (estimated)\n", "us/message", "share",
               RULE_COST_BYTES);
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        printf("%12.3f %6.1f%% ", v[i].micros, v[i].share * 100);
        if (messages)
            printf("%9llu %9llu ", (unsigned long long)v[i].tries, (unsigned long long)v[i].hits);
        printf(" %s:%u: %s", v[i].file ? v[i].file : "(built in)", v[i].line, v[i].name);
        if (!messages)
            print_guard(&v[i]);
        putchar('\n');
    }
}

static json_t *to_json(const struct rule_cost *v, size_t n, uint64_t messages)
{
    json_t *o = json_object(), *rules = json_array();
    json_object_set_new(o, "measured", json_boolean(messages > 0));
    json_object_set_new(o, "messages", json_integer((json_int_t)messages));
    for (size_t i = 0; i < n; i++) {
        json_t *r = json_object();
        json_object_set_new(r, "name", json_string(v[i].name));
        json_object_set_new(r, "file", v[i].file ? json_string(v[i].file) : json_null());
        json_object_set_new(r, "line", json_integer(v[i].line));
        json_object_set_new(r, "micros", json_real(v[i].micros));
        json_object_set_new(r, "share", json_real(v[i].share));
        if (messages) {
            json_object_set_new(r, "tries", json_integer((json_int_t)v[i].tries));
            json_object_set_new(r, "hits", json_integer((json_int_t)v[i].hits));
        } else {
            json_object_set_new(r, "always_tried", json_boolean(v[i].always));
            json_object_set_new(r, "chances",
                                v[i].chances < 0 ? json_null() : json_real(v[i].chances));
        }
        json_array_append_new(rules, r);
    }
    json_object_set_new(o, "rules", rules);
    return o;
}

json_t *check_cost(const struct settings *s, const struct ruleset *rs, char **paths, bool json,
                   bool *failed)
{
    struct cost c = {.s = s, .rs = rs};
    struct rule_cost *v = NULL;
    json_t *out = NULL;
    bool sample = *paths != NULL;
    *failed = sample && !measure(&c, paths);
    if (!*failed) {
        size_t n = sample ? rules_profile_costs(rs, c.profile, &v) : ruleset_estimate(rs, &v);
        uint64_t messages = sample ? rules_profile_messages(c.profile) : 0;
        if (json)
            out = to_json(v, n, messages);
        else
            print(v, n, messages);
    }
    *failed |= c.failed || c.items.errors;
    if (c.profile)
        munmap(c.profile, rules_profile_size(rs));
    source_free(&c.items);
    free(v);
    return out;
}

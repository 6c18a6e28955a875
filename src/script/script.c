#include "script/script_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"

/* --- the machine --- */

struct script *script_of(lua_State *L)
{
    return *(struct script **)lua_getextraspace(L);
}

static void *allocate(void *ctx, void *old, size_t old_n, size_t n)
{
    struct script *s = ctx;
    size_t was = old ? old_n : 0;
    if (n == 0) {
        free(old);
        s->memory -= was;
        return NULL;
    }
    if (n > was && n - was > s->set->memory - s->memory)
        return NULL;
    void *p = realloc(old, n);
    if (p)
        s->memory += n - was;
    return p;
}

static void count(lua_State *L, lua_Debug *ar)
{
    struct script *s = script_of(L);
    s->instructions += SCRIPT_HOOK_EVERY;
    if (s->instructions <= s->set->instructions)
        return;
    s->exhausted = true;
    lua_getinfo(L, "Sl", ar);
    luaL_error(L, "%s:%d: it takes more than %I instructions (script.instructions)", ar->short_src,
               ar->currentline, (lua_Integer)s->set->instructions);
}

static void refill(struct script *s)
{
    s->instructions = 0;
    s->exhausted = false;
}

static int outside_of_pcall(lua_State *L)
{
    const char *text = lua_tostring(L, -1);
    log_event(LOG_FAULT, NULL, "script-machine-lost", F_STR("why", text ? text : "unknown"));
    return 0; /* Lua aborts: the scanner is started anew */
}

/* Opens the libraries under protection: they allocate. */
static int open_all(lua_State *L)
{
    sandbox_open(L);
    api_message_open(L);
    api_actions_open(L);
    api_store_open(L);
    return 0;
}

static int read_file(const char *file, struct buf *out, struct err *e)
{
    struct stat st;
    ssize_t n = 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "%s", file);
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(e, "%s: it is no file", file);
    }
    while (out->n <= SCRIPT_FILE_MAX && (n = read(fd, buf_room(out, 65536), 65536)) > 0)
        out->n += (size_t)n;
    int sys = errno;
    close(fd);
    errno = sys;
    if (n < 0)
        return err_sys(e, "%s", file);
    if (out->n > SCRIPT_FILE_MAX)
        return err_set(e, "%s: a script of more than %d bytes", file, SCRIPT_FILE_MAX);
    return 0;
}

static int call(struct script *s, int nargs, int nresults, struct err *e)
{
    if (lua_pcall(s->L, nargs, nresults, 0) == LUA_OK)
        return 0;
    const char *text = lua_tostring(s->L, -1);
    err_set(e, "%s", text ? text : "an error that is no text");
    lua_pop(s->L, 1);
    return -1;
}

static int start(struct script *s, struct err *e)
{
    struct buf text = {0};
    lua_pushcfunction(s->L, open_all);
    int rc = call(s, 0, 0, e);
    if (rc == 0)
        rc = read_file(s->set->file, &text, e);
    if (rc == 0) {
        const char *slash = strrchr(s->set->file, '/');
        char *name = xasprintf("@%s", slash ? slash + 1 : s->set->file);
        rc = luaL_loadbufferx(s->L, buf_span(&text).p, text.n, name, "t") == LUA_OK
                 ? call(s, 0, 0, e)
                 : err_set(e, "%s", lua_tostring(s->L, -1));
        free(name);
    }
    buf_free(&text);
    return rc;
}

struct script *script_new(const struct script_settings *set, struct script_store *store,
                          struct err *e)
{
    struct script *s = xcalloc(1, sizeof *s);
    s->set = set;
    s->store = store;
    s->L = lua_newstate(allocate, s);
    if (!s->L) {
        err_set(e, "%s: script.memory is too small for a Lua machine", set->file);
        free(s);
        return NULL;
    }
    *(struct script **)lua_getextraspace(s->L) = s;
    lua_atpanic(s->L, outside_of_pcall);
    lua_sethook(s->L, count, LUA_MASKCOUNT, SCRIPT_HOOK_EVERY);
    if (start(s, e) == 0)
        return s;
    script_free(s);
    return NULL;
}

void script_free(struct script *s)
{
    if (!s)
        return;
    lua_close(s->L);
    free(s);
}

/* --- callbacks --- */

static bool has(const struct script *s, const char *name)
{
    bool yes = lua_getglobal(s->L, name) == LUA_TFUNCTION;
    lua_pop(s->L, 1);
    return yes;
}

bool script_wants_parts(const struct script *s)
{
    return has(s, "part") || has(s, "multipart") || has(s, "begin") || has(s, "finish") ||
           has(s, "wrapup") || has(s, "end");
}

unsigned script_calls(const struct script *s)
{
    unsigned bits = 0;
    for (unsigned call = CALL_RELAY; call <= CALL_MAP; call <<= 1)
        if (has(s, script_call_name((enum script_call)call)))
            bits |= call;
    return bits;
}

/* What one call gets and gives, in a protected call of its own: the arguments allocate. */
struct turn {
    struct script *s;
    const char *name;
    struct part_facts *part; /* NULL: none */
    struct span rcpt;        /* absent: none */
};

/* Words of a session's stages; nothing and "continue" go on. */
static void obey(struct script *s, const char *name)
{
    lua_State *L = s->L;
    const char *word = lua_tostring(L, -2), *text = lua_tostring(L, -1);
    if (word && strcmp(word, "continue") != 0 && !action_by_word(s, word, text))
        luaL_error(L,
                   "%s() returned '%s'; expected continue, accept, tag, hold, reject, defer or "
                   "discard",
                   name, word);
}

static int take_turn(lua_State *L)
{
    const struct turn *t = lua_touserdata(L, 1);
    int nargs = 1;
    lua_getglobal(L, t->name);
    push_message(t->s);
    if (t->part) {
        push_part(t->s, t->part);
        nargs++;
    }
    if (t->rcpt.p) {
        push_span(L, t->rcpt);
        nargs++;
    }
    lua_call(L, nargs, 2);
    obey(t->s, t->name);
    return 0;
}

static int turn(struct script *s, const char *name, struct part_facts *part, struct span rcpt,
                struct err *e)
{
    struct turn t = {s, name, part, rcpt};
    if (!has(s, name))
        return 0;
    s->part = part;
    s->call = name;
    lua_pushcfunction(s->L, take_turn);
    lua_pushlightuserdata(s->L, &t);
    int rc = call(s, 1, 0, e);
    s->part = NULL;
    return rc;
}

static struct policy *policy_new(struct script *s)
{
    struct policy *p = ARENA_NEW(s->m->arena, struct policy);
    p->name = "script";
    p->go_on = true;
    return p;
}

static bool asked(const struct message *m, enum script_call call)
{
    return m->said && m->said->asked & call;
}

static struct policy *policy_saying(struct script *s, const struct saying *what)
{
    struct policy *p = policy_new(s);
    struct saying copy = {0};
    saying_add(&copy, s->m->arena, what);
    p->actions = copy.actions;
    p->touch_signed = copy.touch_signed;
    return p;
}

/* What recipient() has said about each when it was named. */
static void recall_recipients(struct script *s)
{
    struct message *m = s->m;
    const struct said *said = m->said;
    s->out->each = arena_array(m->arena, m->env.nrcpts, sizeof *s->out->each);
    for (size_t i = 0; i < said->neach && i < m->env.nrcpts; i++)
        if (said->each[i].actions.n)
            s->out->each[i] = policy_saying(s, &said->each[i]);
}

static int recipients(struct script *s, struct policy *all, struct err *e)
{
    struct message *m = s->m;
    int rc = 0;
    if (asked(m, CALL_RECIPIENT)) {
        recall_recipients(s);
        return 0;
    }
    if (!has(s, "recipient"))
        return 0;
    s->out->each = arena_array(m->arena, m->env.nrcpts, sizeof *s->out->each);
    s->for_one = true;
    for (size_t i = 0; rc == 0 && i < m->env.nrcpts; i++) {
        s->into = policy_new(s);
        s->cap = 0;
        struct span addr = m->env.rcpts[i].addr;
        rc = turn(s, "recipient", NULL, addr.p ? addr : SPAN(""), e);
        if (s->into->actions.n)
            s->out->each[i] = s->into;
    }
    s->for_one = false;
    s->into = all;
    s->cap = 0;
    return rc;
}

static int each_part(struct script *s, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && s->parts && i < s->parts->n; i++) {
        struct part_facts *p = &s->parts->v[i];
        rc = turn(s, p->container ? "multipart" : "part", p, SPAN_NONE, e);
    }
    return rc;
}

static int all_turns(struct script *s, struct policy *all, struct err *e)
{
    static const enum script_call before[] = {CALL_RELAY, CALL_HELO, CALL_SENDER};
    for (size_t i = 0; s->m->has_envelope && i < sizeof before / sizeof *before; i++)
        if (!asked(s->m, before[i]) &&
            turn(s, script_call_name(before[i]), NULL, SPAN_NONE, e) != 0)
            return -1;
    struct policy_actions early = all->actions;
    size_t cap = s->cap;
    if (recipients(s, all, e) != 0)
        return -1;
    all->actions = early;
    s->cap = cap;
    if (turn(s, "begin", NULL, SPAN_NONE, e) != 0 || each_part(s, e) != 0)
        return -1;
    if (turn(s, "end", NULL, SPAN_NONE, e) != 0 || turn(s, "finish", NULL, SPAN_NONE, e) != 0)
        return -1;
    return turn(s, "wrapup", NULL, SPAN_NONE, e);
}

void script_failed(const struct script_settings *set, struct message *m, const char *why,
                   struct wishes *out)
{
    facts_skip(&m->facts, m->arena, "script", span_str(why));
    log_event(LOG_FAULT, m->id, "script-failed", F_STR("why", why));
    *out = (struct wishes){0};
    if (set->on_error == FAIL_PASS)
        return;
    struct policy *p = ARENA_NEW(m->arena, struct policy);
    p->name = "script";
    p->go_on = true;
    struct policy_action *x = ARENA_NEW(m->arena, struct policy_action);
    *x = set->on_error == FAIL_DEFER
             ? (struct policy_action){.kind = ACTION_DEFER,
                                      .text = "451 4.3.0 Not all checks are "
                                              "available now, please try later"}
             : (struct policy_action){.kind = ACTION_HOLD, .text = "the script failed"};
    p->actions = (struct policy_actions){x, 1};
    out->all = p;
}

void script_run(struct script *s, struct message *m, struct parts *parts, struct wishes *out)
{
    struct err e;
    refill(s);
    s->m = m;
    s->parts = parts;
    s->out = out;
    *out = (struct wishes){0};
    s->actions = s->cap = 0;
    struct policy *p = s->into = m->said ? policy_saying(s, &m->said->all) : policy_new(s);
    s->cap = p->actions.n;
    if (all_turns(s, p, &e) != 0)
        script_failed(s->set, m, e.text, out);
    else
        out->all = p->actions.n ? p : NULL;
    lua_settop(s->L, 0);
    s->m = NULL;
    s->parts = NULL;
    s->into = NULL;
}

/* --- one callback at its own command --- */

int script_stage(struct script *s, enum script_call call, struct message *m, struct span rcpt,
                 struct saying *out, struct err *e)
{
    struct wishes none = {0};
    refill(s);
    s->m = m;
    s->out = &none;
    s->actions = s->cap = 0;
    s->for_one = call == CALL_RECIPIENT;
    struct policy *p = s->into = policy_new(s);
    int rc = turn(s, script_call_name(call), NULL, call == CALL_RECIPIENT ? rcpt : SPAN_NONE, e);
    *out = (struct saying){0};
    if (rc == 0)
        *out = (struct saying){p->actions, p->touch_signed};
    lua_settop(s->L, 0);
    s->for_one = false;
    s->m = NULL;
    s->out = NULL;
    s->into = NULL;
    return rc;
}

/* --- map and tick --- */

struct question {
    struct span name, key;
    struct arena *a;
    struct span *value;
    bool found;
};

static int ask_map(lua_State *L)
{
    struct question *q = lua_touserdata(L, 1);
    size_t n;
    lua_getglobal(L, "map");
    push_span(L, q->name);
    push_span(L, q->key);
    lua_call(L, 2, 2);
    const char *why = lua_tostring(L, -1);
    lua_pop(L, 1);
    if (lua_isnil(L, -1) && why)
        return luaL_error(L, "%s", why);
    const char *text = lua_tolstring(L, -1, &n);
    q->found = text != NULL;
    if (text)
        *q->value = arena_dup(q->a, span_of(text, n));
    return 0;
}

int script_map(struct script *s, struct span name, struct span key, struct arena *a,
               struct span *value, struct err *e)
{
    struct question q = {name, key, a, value, false};
    if (!has(s, "map"))
        return 0;
    refill(s);
    lua_pushcfunction(s->L, ask_map);
    lua_pushlightuserdata(s->L, &q);
    return call(s, 1, 0, e) != 0 ? -1 : q.found;
}

int script_tick(struct script *s, struct err *e)
{
    if (!has(s, "tick"))
        return 0;
    refill(s);
    lua_getglobal(s->L, "tick");
    return call(s, 0, 0, e);
}

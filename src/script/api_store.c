/* store.get(key), store.put(key, value, seconds), store.incr(key, by, seconds), store.forget(key)
 */
#include "script/script_private.h"

enum { STORE_SECONDS_MAX = 366 * 86400, STORE_KEY_MAX = 1000, STORE_VALUE_MAX = 60000 };

static struct span checked(lua_State *L, int at, size_t most)
{
    size_t n;
    const char *p = luaL_checklstring(L, at, &n);
    luaL_argcheck(L, n > 0 && n <= most, at, "too long, or empty");
    return span_of(p, n);
}

static usec ending(lua_State *L, int at)
{
    lua_Integer seconds = luaL_optinteger(L, at, 86400);
    luaL_argcheck(L, seconds > 0 && seconds <= STORE_SECONDS_MAX, at,
                  "expected 1 to 31622400 seconds");
    return clock_wall() + (usec)seconds * USEC_PER_SEC;
}

static struct script_store *store_of(lua_State *L)
{
    struct script_store *store = script_of(L)->store;
    if (!store)
        luaL_error(L, "there is no store here");
    return store;
}

/* Pushes the value or nil. */
static void push_value(lua_State *L, struct script_store *store, struct span key)
{
    struct buf value = {0};
    bool found = store->get(store->ctx, key, &value);
    char copy[STORE_VALUE_MAX + 1];
    size_t n = value.n < STORE_VALUE_MAX ? value.n : STORE_VALUE_MAX;
    memcpy(copy, buf_span(&value).p, n);
    buf_free(&value); /* before Lua may jump away */
    if (found)
        lua_pushlstring(L, copy, n);
    else
        lua_pushnil(L);
}

static int get(lua_State *L)
{
    struct span key = checked(L, 1, STORE_KEY_MAX);
    push_value(L, store_of(L), key);
    return 1;
}

static int put(lua_State *L)
{
    struct span key = checked(L, 1, STORE_KEY_MAX);
    size_t n;
    const char *p = luaL_checklstring(L, 2, &n);
    luaL_argcheck(L, n <= STORE_VALUE_MAX, 2, "too long");
    usec until = ending(L, 3);
    struct script_store *store = store_of(L);
    lua_pushboolean(L, store->put(store->ctx, key, span_of(p, n), until));
    return 1;
}

/* The end is that of the first call: a count of the last hour begins anew after it. What can't be
 * kept counts from 0 each time: a script goes on. */
static int incr(lua_State *L)
{
    struct span key = checked(L, 1, STORE_KEY_MAX);
    int64_t by = luaL_optinteger(L, 2, 1), sum = 0;
    usec until = ending(L, 3);
    struct script_store *store = store_of(L);
    if (!store->add(store->ctx, key, by, until, &sum))
        sum = by;
    lua_pushinteger(L, sum);
    return 1;
}

static int forget(lua_State *L)
{
    struct span key = checked(L, 1, STORE_KEY_MAX);
    struct script_store *store = store_of(L);
    lua_pushboolean(L, store->forget(store->ctx, key));
    return 1;
}

static int now(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)(clock_wall() / USEC_PER_SEC));
    return 1;
}

void api_store_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"get", get}, {"put", put}, {"incr", incr}, {"forget", forget}, {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_setglobal(L, "store");
    lua_register(L, "now", now);
}

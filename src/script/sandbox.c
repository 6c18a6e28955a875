/* The world of a script: the base functions that do no harm, string, table, math, utf8. */
#include <lualib.h>

#include "base/log.h"
#include "script/script_private.h"

static const char *const removed[] = {"dofile",         "loadfile", "load",    "loadstring",
                                      "collectgarbage", "xpcall",   "require", "warn"};

/* A script that has used up its share ends, whatever it would catch. */
static int guarded_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    int r = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    if (r != LUA_OK && script_of(L)->exhausted)
        return lua_error(L);
    lua_pushboolean(L, r == LUA_OK);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/* Finalizers run where no limit holds. */
static int guarded_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        lua_pushliteral(L, "__gc");
        lua_rawget(L, 2);
        if (!lua_isnil(L, -1))
            return luaL_error(L, "finalizers (__gc) are not available");
        lua_pop(L, 1);
    }
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static int say(lua_State *L)
{
    struct script *s = script_of(L);
    size_t n;
    const char *text = luaL_tolstring(L, 1, &n);
    log_event(LOG_NOTE, s->m ? s->m->id : NULL, "script", F_SPAN("says", span_of(text, n)));
    return 0;
}

void sandbox_open(lua_State *L)
{
    static const luaL_Reg libraries[] = {{LUA_GNAME, luaopen_base},
                                         {LUA_STRLIBNAME, luaopen_string},
                                         {LUA_TABLIBNAME, luaopen_table},
                                         {LUA_MATHLIBNAME, luaopen_math},
                                         {LUA_UTF8LIBNAME, luaopen_utf8}};
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        luaL_requiref(L, libraries[i].name, libraries[i].func, 1);
        lua_pop(L, 1);
    }
    for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
        lua_pushnil(L);
        lua_setglobal(L, removed[i]);
    }
    lua_getglobal(L, LUA_STRLIBNAME);
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lua_pop(L, 1);
    lua_register(L, "pcall", guarded_pcall);
    lua_register(L, "setmetatable", guarded_setmetatable);
    lua_register(L, "print", say);
    lua_register(L, "log", say);
}

/* What the files of this room share. */
#ifndef GATEHOUSE_SCRIPT_SCRIPT_PRIVATE_H
#define GATEHOUSE_SCRIPT_SCRIPT_PRIVATE_H

#include <lua.h>
#include <lauxlib.h>

#include "script/script.h"

/* Limits beside those of the settings. */
enum {
    SCRIPT_FILE_MAX = 4 << 20, /* bytes of the script */
    SCRIPT_HOOK_EVERY = 1000,  /* instructions between two looks at the limit */
    SCRIPT_ACTIONS_MAX = 1000, /* that one message may ask for */
    SCRIPT_BODY_MAX = 1 << 20  /* bytes of a part that the script may read */
};

struct script {
    const struct script_settings *set;
    struct script_store *store;
    lua_State *L;
    size_t memory;         /* in use */
    uint64_t instructions; /* of the message so far */
    bool exhausted;        /* no pcall may go on */
    /* The message in hand; NULL between messages. */
    struct message *m;
    struct parts *parts;
    const struct part_facts *part; /* in part() and multipart() */
    struct wishes *out;
    struct policy *into; /* where actions go */
    size_t cap;          /* of its list */
    size_t actions;
    bool for_one;     /* one recipient is in hand */
    const char *call; /* the callback that runs */
};

/* The machine's own place for the struct. */
struct script *script_of(lua_State *L);

/* The libraries that a script may have. */
void sandbox_open(lua_State *L);
/* api_message.c: the tables that callbacks get. */
void push_message(struct script *s);
void push_part(struct script *s, struct part_facts *p);
void api_message_open(lua_State *L);
/* api_actions.c, api_store.c: functions as globals. */
void api_actions_open(lua_State *L);
void api_store_open(lua_State *L);
/* An action by the words that a callback returned: "reject", text. false: there is no such word. */
bool action_by_word(struct script *s, const char *word, const char *text);

static inline void push_span(lua_State *L, struct span s)
{
    lua_pushlstring(L, s.p ? s.p : "", s.n);
}

#endif

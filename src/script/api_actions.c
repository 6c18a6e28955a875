/* Actions as functions. What they are given is checked as the settings check theirs: a script must
 * not be led by a stranger's words into writing two header fields for one. */
#include "script/script_private.h"

enum { TEXT_MAX = 100000, ONE_LINE_MAX = 10000, ADDRESS_MAX = 320 };

static struct policy_action *add(lua_State *L, enum action_kind kind)
{
    struct script *s = script_of(L);
    if (!s->m)
        luaL_error(L, "there is no message here");
    if (++s->actions > SCRIPT_ACTIONS_MAX)
        luaL_error(L, "more than %d actions for one message", SCRIPT_ACTIONS_MAX);
    struct policy_actions *list = &s->into->actions;
    struct policy_action *x = ARENA_PUSH(s->m->arena, list->v, list->n, s->cap);
    x->kind = kind;
    x->by = s->call;
    return x;
}

static const char *kept(lua_State *L, struct span text)
{
    return arena_cstr(script_of(L)->m->arena, text);
}

static void need_message(lua_State *L)
{
    if (!script_of(L)->m)
        luaL_error(L, "there is no message here");
}

/* The text at `at` with control characters as spaces; lines: line ends may stay. */
static const char *text_at(lua_State *L, int at, const char *otherwise, bool lines)
{
    size_t n;
    need_message(L);
    const char *p =
        otherwise ? luaL_optlstring(L, at, otherwise, &n) : luaL_checklstring(L, at, &n);
    luaL_argcheck(L, n <= (lines ? TEXT_MAX : ONE_LINE_MAX), at, "too long");
    char *copy = (char *)(uintptr_t)kept(L, span_of(p, n));
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)copy[i] < ' ' && !(lines && (copy[i] == '\n' || copy[i] == '\t')))
            copy[i] = ' ';
    return copy;
}

static const char *name_at(lua_State *L, int at)
{
    size_t n;
    need_message(L);
    const char *p = luaL_checklstring(L, at, &n);
    bool fine = n > 0 && n <= 76;
    for (size_t i = 0; fine && i < n; i++)
        fine = p[i] > ' ' && p[i] <= '~' && p[i] != ':';
    luaL_argcheck(L, fine, at, "expected the name of a header field");
    return kept(L, span_of(p, n));
}

static const char *address_at(lua_State *L, int at)
{
    size_t n;
    need_message(L);
    const char *p = luaL_checklstring(L, at, &n);
    bool fine = n > 2 && n <= ADDRESS_MAX && memchr(p + 1, '@', n - 2) != NULL;
    for (size_t i = 0; fine && i < n; i++)
        fine = (unsigned char)p[i] > ' ' && p[i] != 0x7f && !strchr("<>,", p[i]);
    luaL_argcheck(L, fine, at, "expected an address");
    return kept(L, span_of(p, n));
}

/* --- what becomes of the message --- */

/* The last call wins, as in MIMEDefang; the others are taken back. */
static void decide(lua_State *L, enum action_kind kind, const char *text)
{
    struct script *s = script_of(L);
    need_message(L);
    struct policy_actions *list = &s->into->actions;
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].kind > ACTION_DISCARD)
            list->v[n++] = list->v[i];
    list->n = n;
    add(L, kind)->text = text;
}

/* "550 5.7.1 text", or the text alone behind the code of def. */
static const char *reply(lua_State *L, const char *text, const char *def)
{
    struct arena *a = script_of(L)->m->arena;
    struct span s = span_str(text);
    bool coded = s.n >= 10 && s.p[0] == def[0] && ascii_isdigit(s.p[1]) && ascii_isdigit(s.p[2]) &&
                 s.p[3] == ' ' && s.p[4] == s.p[0] && s.p[5] == '.';
    return coded || s.n == 0 ? (s.n ? text : def) : arena_printf(a, "%.10s%s", def, text).p;
}

static const char reject_default[] = "550 5.7.1 Refused by policy",
                  defer_default[] = "451 4.7.1 Please try again later";

static int reject(lua_State *L)
{
    decide(L, ACTION_REJECT, reply(L, text_at(L, 1, "", true), reject_default));
    return 0;
}

static int defer(lua_State *L)
{
    decide(L, ACTION_DEFER, reply(L, text_at(L, 1, "", true), defer_default));
    return 0;
}

static int hold(lua_State *L)
{
    decide(L, ACTION_HOLD, text_at(L, 1, "policy", false));
    return 0;
}

static int accept(lua_State *L)
{
    decide(L, ACTION_ACCEPT, NULL);
    return 0;
}

static int tag(lua_State *L)
{
    decide(L, ACTION_TAG, NULL);
    return 0;
}

static int discard(lua_State *L)
{
    decide(L, ACTION_DISCARD, NULL);
    return 0;
}

/* Whether something has been decided that stops the message. */
static int rejected(lua_State *L)
{
    struct script *s = script_of(L);
    bool yes = false;
    need_message(L);
    for (size_t i = 0; i < s->into->actions.n; i++) {
        enum action_kind k = s->into->actions.v[i].kind;
        yes |= k == ACTION_REJECT || k == ACTION_DEFER || k == ACTION_DISCARD;
    }
    lua_pushboolean(L, yes);
    return 1;
}

bool action_by_word(struct script *s, const char *word, const char *text)
{
    char *clean = arena_strdup(s->m->arena, text ? text : "");
    bool lines = strcmp(word, "reject") == 0 || strcmp(word, "defer") == 0;
    for (char *c = clean; *c; c++)
        if (((unsigned char)*c < ' ' && !(lines && *c == '\n')) || *c == 0x7f)
            *c = ' ';
    text = clean;
    if (strcmp(word, "reject") == 0)
        decide(s->L, ACTION_REJECT, reply(s->L, text, reject_default));
    else if (strcmp(word, "defer") == 0)
        decide(s->L, ACTION_DEFER, reply(s->L, text, defer_default));
    else if (strcmp(word, "hold") == 0)
        decide(s->L, ACTION_HOLD, text[0] ? text : "policy");
    else if (strcmp(word, "accept") == 0)
        decide(s->L, ACTION_ACCEPT, NULL);
    else if (strcmp(word, "tag") == 0)
        decide(s->L, ACTION_TAG, NULL);
    else if (strcmp(word, "discard") == 0)
        decide(s->L, ACTION_DISCARD, NULL);
    else
        return false;
    return true;
}

/* --- header --- */

static int field(lua_State *L, enum action_kind kind)
{
    const char *name = name_at(L, 1);
    const char *value = kind == ACTION_DELETE_HEADER ? NULL : text_at(L, 2, NULL, false);
    int at = kind == ACTION_DELETE_HEADER ? 2 : 3;
    lua_Integer nth = kind == ACTION_ADD_HEADER ? 0 : luaL_optinteger(L, at, 1);
    luaL_argcheck(L, nth >= 0 && nth <= UINT32_MAX, at, "expected a number from 1, or 0 for all");
    struct policy_action *x = add(L, kind);
    x->name = name;
    x->text = value;
    x->nth = (uint32_t)nth;
    return 0;
}

static int add_header(lua_State *L)
{
    return field(L, ACTION_ADD_HEADER);
}

static int change_header(lua_State *L)
{
    return field(L, ACTION_CHANGE_HEADER);
}

static int delete_header(lua_State *L)
{
    return field(L, ACTION_DELETE_HEADER);
}

static int delete_all_headers(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushinteger(L, 0);
    return field(L, ACTION_DELETE_HEADER);
}

static int subject_prefix(lua_State *L)
{
    const char *text = text_at(L, 1, NULL, false);
    add(L, ACTION_SUBJECT_PREFIX)->text = text;
    return 0;
}

/* --- parts --- */

/* The part in hand, or the one whose number stands at `at`. */
static uint32_t part_at(lua_State *L, int at)
{
    struct script *s = script_of(L);
    need_message(L);
    if (!s->parts)
        luaL_error(L, "there are no parts here");
    if (lua_isnoneornil(L, at) && s->part)
        return s->part->number;
    lua_Integer n = luaL_checkinteger(L, at);
    luaL_argcheck(L, n >= 1 && (size_t)n <= s->parts->n, at, "there is no such part");
    return (uint32_t)n;
}

static int on_part(lua_State *L, enum action_kind kind, const char *otherwise)
{
    bool drop = kind == ACTION_DROP_PART;
    const char *text = drop ? NULL : text_at(L, 1, otherwise, kind != ACTION_RENAME_PART);
    uint32_t part = part_at(L, drop ? 1 : 2);
    struct policy_action *x = add(L, kind);
    x->text = text;
    x->part = part;
    return 0;
}

static int drop_part(lua_State *L)
{
    return on_part(L, ACTION_DROP_PART, NULL);
}

static int replace_part(lua_State *L)
{
    return on_part(L, ACTION_REPLACE_PART, action_default(ACTION_REPLACE_PART));
}

static int link_part(lua_State *L)
{
    return on_part(L, ACTION_LINK_PART, action_default(ACTION_LINK_PART));
}

static int rename_part(lua_State *L)
{
    return on_part(L, ACTION_RENAME_PART, action_default(ACTION_RENAME_PART));
}

static int quarantine_part(lua_State *L)
{
    return on_part(L, ACTION_QUARANTINE_PART, action_default(ACTION_QUARANTINE_PART));
}

/* The infected parts, whichever they are. */
static int clean(lua_State *L)
{
    const char *text = text_at(L, 1, action_default(ACTION_CLEAN), true);
    add(L, ACTION_CLEAN)->text = text;
    return 0;
}

static int touch_signed(lua_State *L)
{
    need_message(L);
    script_of(L)->into->touch_signed = true;
    return 0;
}

static int add_disclaimer(lua_State *L)
{
    const char *text = text_at(L, 1, NULL, true);
    const char *html = lua_isnoneornil(L, 2) ? NULL : text_at(L, 2, NULL, true);
    struct policy_action *x = add(L, ACTION_ADD_DISCLAIMER);
    x->text = text;
    x->html = html;
    return 0;
}

/* --- envelope, others --- */

static int to_address(lua_State *L, enum action_kind kind)
{
    const char **v = arena_array((need_message(L), script_of(L)->m->arena), 1, sizeof *v);
    v[0] = address_at(L, 1);
    add(L, kind)->to = (struct strings){v, 1};
    return 0;
}

static int add_recipient(lua_State *L)
{
    return to_address(L, ACTION_ADD_RECIPIENT);
}

static int redirect(lua_State *L)
{
    return to_address(L, ACTION_REDIRECT);
}

static int copy(lua_State *L)
{
    return to_address(L, ACTION_COPY);
}

static int delete_recipient(lua_State *L)
{
    struct script *s = script_of(L);
    need_message(L);
    if (!s->for_one)
        return luaL_error(L, "which recipient? Call delete_recipient in recipient()");
    add(L, ACTION_DELETE_RECIPIENT);
    return 0;
}

static int change_sender(lua_State *L)
{
    size_t n;
    need_message(L);
    const char *p = luaL_checklstring(L, 1, &n);
    const char *addr = n == 0 || strcmp(p, "<>") == 0 ? "" : address_at(L, 1);
    add(L, ACTION_CHANGE_SENDER)->text = addr;
    return 0;
}

static int notify(lua_State *L)
{
    const char *to = lua_tostring(L, 1);
    bool word = to && (strcmp(to, "sender") == 0 || strcmp(to, "recipients") == 0);
    need_message(L);
    const char **v = arena_array(script_of(L)->m->arena, 1, sizeof *v);
    v[0] = word ? kept(L, span_str(to)) : address_at(L, 1);
    const char *subject = lua_isnoneornil(L, 2) ? NULL : text_at(L, 2, NULL, false);
    const char *text = lua_isnoneornil(L, 3) ? NULL : text_at(L, 3, NULL, true);
    struct policy_action *x = add(L, ACTION_NOTIFY);
    x->to = (struct strings){v, 1};
    x->subject = subject;
    x->text = text;
    return 0;
}

static int keep(lua_State *L)
{
    add(L, ACTION_KEEP);
    return 0;
}

void api_actions_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"accept", accept},
        {"tag", tag},
        {"hold", hold},
        {"reject", reject},
        {"defer", defer},
        {"discard", discard},
        {"rejected", rejected},
        {"add_header", add_header},
        {"change_header", change_header},
        {"delete_header", delete_header},
        {"delete_all_headers", delete_all_headers},
        {"subject_prefix", subject_prefix},
        {"drop_part", drop_part},
        {"replace_part", replace_part},
        {"link_part", link_part},
        {"rename_part", rename_part},
        {"quarantine_part", quarantine_part},
        {"clean", clean},
        {"touch_signed", touch_signed},
        {"add_disclaimer", add_disclaimer},
        {"add_recipient", add_recipient},
        {"delete_recipient", delete_recipient},
        {"redirect", redirect},
        {"change_sender", change_sender},
        {"notify", notify},
        {"copy", copy},
        {"keep", keep},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        lua_register(L, functions[i].name, functions[i].func);
}

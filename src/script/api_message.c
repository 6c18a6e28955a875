/* What callbacks see: the message, its parts. Plain tables; a script may write into them, which
 * changes nothing. */
#include "script/script_private.h"

static void text(lua_State *L, const char *name, struct span s)
{
    if (!s.p)
        return;
    push_span(L, s);
    lua_setfield(L, -2, name);
}

static void word(lua_State *L, const char *name, const char *s)
{
    text(L, name, span_str(s));
}

static void number(lua_State *L, const char *name, lua_Number v)
{
    lua_pushnumber(L, v);
    lua_setfield(L, -2, name);
}

static void whole(lua_State *L, const char *name, uint64_t v)
{
    lua_pushinteger(L, (lua_Integer)v);
    lua_setfield(L, -2, name);
}

static void flag(lua_State *L, const char *name, bool v)
{
    lua_pushboolean(L, v);
    lua_setfield(L, -2, name);
}

/* The list on top becomes field `name` of the table below. */
static void push_spans(lua_State *L, const char *name, const struct span *v, size_t n)
{
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        push_span(L, v[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, name);
}

static void client(lua_State *L, const struct peer *p)
{
    char ip[IP_TEXT_SIZE];
    word(L, "client_ip", p->has_ip ? ip_text(&p->ip, ip) : NULL);
    text(L, "client_name", p->name);
    text(L, "helo", p->helo);
    text(L, "listener", p->listener);
    text(L, "protocol", p->protocol);
    text(L, "user", p->auth_user);
    text(L, "tls", p->tls_version);
}

static void envelope(lua_State *L, const struct message *m)
{
    text(L, "sender",
         m->has_envelope && m->env.from.p ? m->env.from
         : m->has_envelope                ? SPAN("")
                                          : SPAN_NONE);
    lua_createtable(L, (int)m->env.nrcpts, 0);
    for (size_t i = 0; i < m->env.nrcpts; i++) {
        push_span(L, m->env.rcpts[i].addr);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "recipients");
}

static void rules(lua_State *L, const struct rules_facts *r)
{
    if (!r->ran)
        return;
    number(L, "score", r->score);
    number(L, "required", r->required);
    lua_createtable(L, 0, (int)r->nhits);
    for (size_t i = 0; i < r->nhits; i++) {
        lua_pushnumber(L, r->hits[i].score);
        lua_setfield(L, -2, r->hits[i].name);
    }
    lua_setfield(L, -2, "hits");
}

static void authentication(lua_State *L, const struct auth_facts *f)
{
    bool pass = false;
    for (size_t i = 0; i < f->ndkim; i++)
        pass |= f->dkim[i].result == DKIM_PASS;
    word(L, "spf", spf_result_name(spf_main(f)->result));
    word(L, "dkim", pass ? "pass" : f->ndkim ? dkim_result_name(f->dkim[0].result) : "none");
    word(L, "dmarc", dmarc_result_name(f->dmarc.result));
    word(L, "arc", arc_result_name(f->arc.result));
}

/* What else was found out, by name: m.facts["pyzor.count"]. */
static void other_facts(lua_State *L, const struct facts *f)
{
    lua_createtable(L, 0, (int)f->nfacts);
    for (size_t i = 0; i < f->nfacts; i++)
        text(L, f->facts[i].name, f->facts[i].value);
    lua_setfield(L, -2, "facts");
}

void push_message(struct script *s)
{
    lua_State *L = s->L;
    const struct message *m = s->m;
    lua_createtable(L, 0, 24);
    word(L, "id", m->id);
    whole(L, "size", m->raw.n);
    client(L, &m->peer);
    envelope(L, m);
    rules(L, &m->facts.rules);
    authentication(L, &m->facts.auth);
    if (m->facts.virus.state == VIRUS_FOUND)
        text(L, "virus", m->facts.virus.name);
    other_facts(L, &m->facts);
}

/* What the engine found in this part alone. */
static void part_virus(lua_State *L, const struct virus_facts *v, uint32_t part)
{
    for (size_t i = 0; i < v->nparts; i++)
        if (v->parts[i].number == part)
            text(L, "virus", v->parts[i].name);
}

void push_part(struct script *s, struct part_facts *p)
{
    lua_State *L = s->L;
    lua_createtable(L, 0, 10);
    whole(L, "number", p->number);
    text(L, "name", part_name_shown(p));
    push_spans(L, "names", p->names, p->nnames);
    text(L, "type", p->types[0]);
    push_spans(L, "types", p->types, p->ntypes);
    flag(L, "sealed", p->sealed);
    if (p->container)
        return;
    part_virus(L, &s->m->facts.virus, p->number);
    text(L, "content", part_content(s->parts, p));
    whole(L, "size", part_size(s->parts, p));
    flag(L, "encrypted", part_encrypted(s->parts, p));
}

static struct parts *parts_of(lua_State *L)
{
    struct script *s = script_of(L);
    if (!s->parts)
        luaL_error(L, "the message can't be looked into here; do it in begin, part, finish or "
                      "wrapup");
    return s->parts;
}

/* header(name): the decoded values, the first one as it stands on top. */
static int header(lua_State *L)
{
    size_t n;
    const char *name = luaL_checklstring(L, 1, &n);
    struct mime *m = parts_of(L)->mime;
    const struct mime_fields *f = &m->root->fields;
    lua_Integer count = 0;
    lua_newtable(L);
    for (size_t i = 0; (i = mime_find(f, span_of(name, n), i)) < f->n; i++) {
        push_span(L, mime_decoded(m, &f->v[i]));
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/* body(number): the decoded bytes of a part. */
static int body(lua_State *L)
{
    struct parts *ps = parts_of(L);
    lua_Integer number_ = luaL_checkinteger(L, 1);
    luaL_argcheck(L, number_ >= 1 && (size_t)number_ <= ps->n, 1, "there is no such part");
    push_span(L, span_sub(mime_body(ps->mime, ps->v[number_ - 1].part), 0, SCRIPT_BODY_MAX));
    return 1;
}

/* members(number): names of the files in an archive. */
static int members(lua_State *L)
{
    struct parts *ps = parts_of(L);
    lua_Integer number_ = luaL_checkinteger(L, 1);
    const struct span *v;
    luaL_argcheck(L, number_ >= 1 && (size_t)number_ <= ps->n, 1, "there is no such part");
    size_t n = part_members(ps, &ps->v[number_ - 1], &v);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        push_span(L, v[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* parts(): all of them, as part() gets them. */
static int parts(lua_State *L)
{
    struct parts *ps = parts_of(L);
    lua_createtable(L, (int)ps->n, 0);
    for (size_t i = 0; i < ps->n; i++) {
        push_part(script_of(L), &ps->v[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

void api_message_open(lua_State *L)
{
    lua_register(L, "header", header);
    lua_register(L, "body", body);
    lua_register(L, "members", members);
    lua_register(L, "parts", parts);
}

/* AccessDB: would Sendmail's access map have refused this sender?
 *
 * Read is the text the map is made of ("KEY VALUE" a line, '#' a comment). A rule that names the
 * Berkeley DB file, as SpamAssassin's own does, gets the text beside it: access for access.db. Keys
 * count without regard to case, as makemap folds them. */
#include "rules/eval_state.h"

#include "rules/eval.h"
#include "rules/plugin.h"

static struct map *read_map(struct arena *a, struct span text)
{
    struct map *map = ARENA_NEW(a, struct map);
    struct span line;
    *map = map_in(a);
    while (span_line(&text, &line)) {
        if (!line.n || line.p[0] == '#' || ascii_isspace(line.p[0]))
            continue;
        struct span rest = line, key = span_word(&rest, " \t");
        struct span *value = ARENA_NEW(a, struct span);
        *value = span_trim(rest);
        *map_at(map, arena_lower(a, key)) = value;
    }
    return map;
}

static bool is_text(struct span s)
{
    return s.p && !memchr(s.p, '\0', s.n < 4096 ? s.n : 4096);
}

static int prepare(struct arena *a, const struct conf *conf, struct eval_call *call, struct err *e)
{
    struct span path = eval_arg(call, 0);
    if (!path.n)
        return err_set(e, "the path of the access map is missing");
    void **slot = plugin_made(conf, arena_printf(a, "access %.*s", SPAN_ARG(path)).p);
    call->prepared = *slot;
    if (*slot)
        return 0;
    struct span text = plugin_file(a, path);
    bool database = text.p && !is_text(text);
    if (!is_text(text) && span_ends(path, SPAN(".db")))
        text = plugin_file(a, span_sub(path, 0, path.n - 3));
    if (!is_text(text)) {
        if (database)
            return err_set(e, "%.*s is a database; the text it is made of is wanted beside it",
                           SPAN_ARG(path));
        text = SPAN(""); /* no map, nobody refused */
    }
    *slot = call->prepared = read_map(a, text);
    return 0;
}

enum answer { ANSWER_NONE, ANSWER_OK, ANSWER_BAD };

static enum answer answer_of(struct span value)
{
    static const char *const bad[] = {"REJECT", "ERROR", "DISCARD"};
    size_t n = 0;
    while (n < value.n && (ascii_isalnum(value.p[n]) || value.p[n] == '_'))
        n++;
    struct span word = span_sub(value, 0, n);
    uint64_t number;
    if (span_ieq(word, SPAN("OK")) || span_ieq(word, SPAN("SKIP")))
        return ANSWER_OK;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (span_ieq(word, span_str(bad[i])))
            return ANSWER_BAD;
    return span_u64(word, &number) ? ANSWER_BAD : ANSWER_NONE;
}

struct lookup {
    struct rules_ctx *c;
    const struct map *map;
    bool refused;
};

/* With "From:" in front, then as it is. true: the search is over, the sender is allowed. */
static bool look_up(struct lookup *l, struct span key)
{
    key = arena_lower(l->c->a, key);
    struct span tagged = arena_printf(l->c->a, "from:%.*s", SPAN_ARG(key));
    for (int i = 0; i < 2; i++) {
        const struct span *value = map_get(l->map, i ? key : tagged);
        if (!value || !value->n || span_eq(*value, SPAN("0")))
            continue;
        enum answer answer = answer_of(*value);
        if (answer == ANSWER_OK) {
            l->refused = false;
            return true;
        }
        l->refused |= answer == ANSWER_BAD;
    }
    return false;
}

/* A domain and all it is below of. */
static bool look_up_domain(struct lookup *l, struct span domain)
{
    for (;;) {
        if (look_up(l, domain))
            return true;
        size_t dot = span_find(domain, '.');
        if (dot == SIZE_MAX)
            return false;
        domain = span_from(domain, dot + 1);
    }
}

static bool look_up_address(struct lookup *l, struct span address)
{
    if (look_up(l, address))
        return true;
    size_t at = span_find(address, '@');
    struct span user = span_sub(address, 0, at);
    if (user.n && look_up(l, arena_printf(l->c->a, "%.*s@", SPAN_ARG(user))))
        return true;
    return at != SIZE_MAX && at + 1 < address.n && look_up_domain(l, span_from(address, at + 1));
}

/* The address, then its networks at octet bounds. */
static bool look_up_ip(struct lookup *l, struct span ip)
{
    char *p = arena_raw(l->c->a, ip.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < ip.n; i++)
        if (ascii_isdigit(ip.p[i]) || ip.p[i] == '.')
            p[n++] = ip.p[i];
    for (struct span net = span_of(p, n);;) {
        if (look_up(l, net))
            return true;
        size_t dot = span_rfind(net, '.');
        if (dot == SIZE_MAX)
            return false;
        net = span_sub(net, 0, dot);
    }
}

static double check_access_database(struct rules_ctx *c, const struct eval_call *call)
{
    struct lookup l = {.c = c, .map = call->prepared};
    size_t n;
    if (!l.map->n)
        return 0;
    const struct span *from = header_all_from(c, &n);
    for (size_t i = 0; i < n; i++)
        if (look_up_address(&l, from[i]))
            return 0;
    if (c->relays->nuntrusted) {
        const struct relay *r = c->relays->untrusted[0];
        if ((!r->no_reverse_dns && look_up_domain(&l, r->rdns)) || look_up_ip(&l, r->ip))
            return 0;
    }
    return l.refused;
}

const struct eval_fn_def eval_access[] = {
    {"check_access_database", "AccessDB", check_access_database, .types = EVAL_HEAD,
     .prepare = prepare},
    {NULL},
};

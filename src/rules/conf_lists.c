/* Directives that fill lists and tables: addresses, hosts, domains, networks. */
#include "rules/conf_private.h"

#include "pattern/pattern.h"

static const char spaces[] = " \t\v\f\r";

static void *field(struct conf_parser *p, const struct conf_directive *d)
{
    return (char *)p->c + d->field;
}

static struct globs *list(struct conf_parser *p, const struct conf_directive *d)
{
    return conf_own_globs(p->c, field(p, d));
}

static int missing(struct err *e)
{
    return err_set(e, "a value is missing");
}

READER(conf_globs)
{
    struct span word;
    if (!value.n)
        return missing(e);
    while ((word = span_word(&value, spaces)).p)
        globs_add(list(p, d), word, SPAN_NONE);
    return 0;
}

READER(conf_globs_drop)
{
    struct span word;
    if (!value.n)
        return missing(e);
    while ((word = span_word(&value, spaces)).p)
        globs_remove(list(p, d), word, SPAN_NONE);
    return 0;
}

/* ADDRESS DOMAIN [DOMAIN...]; arg 1: the second word may be left out, then the address's own. */
READER(conf_globs_pair)
{
    struct span rest, address = conf_first_word(value, &rest), word;
    if (!address.n || (!rest.n && !d->arg))
        return err_set(e, "an address pattern and a domain are wanted");
    if (!rest.n)
        globs_add(list(p, d), address, SPAN_NONE);
    while ((word = span_word(&rest, spaces)).p)
        globs_add(list(p, d), address, word);
    return 0;
}

READER(conf_globs_pair_drop)
{
    struct span rest, address = conf_first_word(value, &rest);
    if (!address.n)
        return missing(e);
    globs_remove(list(p, d), address, rest.n ? rest : SPAN_NONE);
    return 0;
}

/* "(LIST) words": the name; SPAN_NONE when there is none. */
static struct span list_name(struct span *value)
{
    size_t close = span_find(*value, ')');
    if (!value->n || value->p[0] != '(' || close == SIZE_MAX || close < 2)
        return SPAN_NONE;
    struct span name = span_sub(*value, 1, close);
    *value = span_trim(span_from(*value, close + 1));
    return name;
}

static struct globs *address_list(struct conf *c, struct span name)
{
    void **slot = map_at(conf_own_map(c, &c->lists.addrlists), name);
    struct globs *g = *slot;
    if (g && g->arena == c->arena)
        return g;
    *slot = ARENA_NEW(c->arena, struct globs);
    if (g)
        *(struct globs *)*slot = *g;
    else
        globs_init(*slot, c->arena);
    return conf_own_globs(c, *slot);
}

READER(conf_addrlist)
{
    (void)d;
    struct span name = list_name(&value), word;
    if (!name.p || !value.n)
        return err_set(e, "'(LIST) addresses' wanted");
    struct globs *list = address_list(p->c, name);
    while ((word = span_word(&value, spaces)).p)
        globs_add(list, word, SPAN_NONE);
    return 0;
}

/* FromNameSpoof's lists of addresses that belong to one owner: FNS_OWNER among the others. */
READER(conf_fns_addrlist)
{
    struct arena *a = p->c->arena;
    struct span name = list_name(&value), word;
    if (!name.p || !value.n)
        return err_set(e, "'(OWNER) addresses' wanted");
    name = arena_lower(a, name);
    struct globs *list = address_list(p->c, arena_printf(a, "FNS_%.*s", SPAN_ARG(name)));
    value = arena_lower(a, value);
    while ((word = span_word(&value, spaces)).p) {
        if (d->arg)
            globs_remove(list, word, SPAN_NONE);
        else
            globs_add(list, word, SPAN_NONE);
    }
    return 0;
}

static struct uri_host_list *host_list(struct conf *c, struct span name)
{
    void **slot = map_at(conf_own_map(c, &c->lists.uri_hosts), name);
    struct uri_host_list *l = *slot;
    if (l && l->hosts.arena == c->arena)
        return l;
    struct uri_host_list *own = ARENA_NEW(c->arena, struct uri_host_list);
    own->hosts = l ? l->hosts : map_in(c->arena);
    conf_own_map(c, &own->hosts);
    *slot = own;
    return own;
}

static void delist(struct conf *c, struct span name, struct span host)
{
    for (size_t i = 0; i < c->lists.uri_hosts.n; i++) {
        struct map_entry *entry = &c->lists.uri_hosts.entries[i];
        const struct uri_host_list *l = entry->value;
        if (name.p && !span_eq(entry->key, name))
            continue;
        if (map_get(&l->hosts, host))
            *map_at(&host_list(c, entry->key)->hosts, host) = NULL;
    }
}

enum { HOST_ENLIST, HOST_BLOCK, HOST_WELCOME, HOST_DELIST };

READER(conf_uri_host)
{
    struct span name = d->arg == HOST_BLOCK     ? SPAN("BLOCK")
                       : d->arg == HOST_WELCOME ? SPAN("WELCOME")
                                                : list_name(&value);
    struct span word;
    if (!value.n || (!name.p && d->arg == HOST_ENLIST))
        return err_set(e, "'(LIST) hosts' wanted");
    while ((word = span_word(&value, spaces)).p) {
        bool no = word.p[0] == '!';
        struct span host = arena_lower(p->c->arena, span_from(word, no));
        if (d->arg == HOST_DELIST)
            delist(p->c, name, host);
        else
            *map_at(&host_list(p->c, name)->hosts, host) = no ? URI_HOST_NO : URI_HOST_YES;
    }
    return 0;
}

READER(conf_freemail_domains)
{
    (void)d, (void)e;
    struct conf_freemail *f = &p->c->freemail;
    struct span word;
    while ((word = span_word(&value, spaces)).p) {
        bool wild = false, bad = false;
        for (size_t i = 0; i < word.n; i++) {
            wild |= word.p[i] == '*' || word.p[i] == '?';
            bad |= !ascii_isalnum(word.p[i]) && !one_of(word.p[i], ".*?-");
        }
        struct span lower = arena_lower(p->c->arena, word);
        if (bad)
            conf_problem(p->c, p->at, "'%.*s' is no domain; left out", SPAN_ARG(word));
        else if (wild)
            *ARENA_PUSH(p->c->arena, f->wildcards, f->nwildcards, f->wildcards_cap) = lower;
        else
            *map_at(conf_own_map(p->c, &f->domains), lower) = p->c;
    }
    return 0;
}

READER(conf_freemail_welcome)
{
    (void)d, (void)e;
    struct span word;
    while ((word = span_word(&value, spaces)).p) {
        if (span_find(word, '.') == SIZE_MAX && span_find(word, '@') == SIZE_MAX)
            conf_problem(p->c, p->at, "'%.*s' is no address or domain; left out", SPAN_ARG(word));
        else
            *map_at(conf_own_map(p->c, &p->c->freemail.welcome), arena_lower(p->c->arena, word)) =
                p->c;
    }
    return 0;
}

READER(conf_tlds)
{
    struct span word;
    if (!value.n)
        return missing(e);
    while ((word = span_word(&value, spaces)).p)
        *map_at(conf_own_map(p->c, field(p, d)), arena_lower(p->c->arena, word)) = p->c;
    return 0;
}

READER(conf_tlds_clear)
{
    (void)d;
    if (value.n)
        return err_set(e, "takes no value");
    p->c->uri.tld = map_in(p->c->arena);
    p->c->uri.two_level = map_in(p->c->arena);
    p->c->uri.three_level = map_in(p->c->arena);
    return 0;
}

void conf_loopback(struct conf *c, struct netset *set)
{
    netset_add(set, c->arena, SPAN("127.0.0.0/8"));
    netset_add(set, c->arena, SPAN("::1"));
}

READER(conf_networks)
{
    struct netset *nets[] = {&p->c->relays.trusted, &p->c->relays.internal, &p->c->relays.msa};
    struct netset *set = nets[d->arg & 7];
    struct span word;
    if (d->arg & 8) {
        *set = (struct netset){0};
        if (set != &p->c->relays.msa)
            conf_loopback(p->c, set);
        return 0;
    }
    if (!value.n)
        return missing(e);
    while ((word = span_word(&value, spaces)).p)
        if (!netset_add(set, p->c->arena, arena_dup(p->c->arena, word)))
            conf_problem(p->c, p->at, "'%.*s' is no network; left out", SPAN_ARG(word));
    set->configured = true;
    return 0;
}

/* arg 1: clear_originating_ip_headers */
READER(conf_originating)
{
    struct relays_settings *r = &p->c->relays;
    struct span word;
    if (d->arg) {
        r->noriginating = 0;
        return value.n ? err_set(e, "takes no value") : 0;
    }
    if (!value.n)
        return missing(e);
    while ((word = span_word(&value, spaces)).p) {
        bool known = false;
        for (size_t i = 0; i < r->noriginating; i++)
            known |= span_ieq(r->originating_ip_headers[i], word);
        if (known)
            continue;
        size_t n = r->noriginating++;
        r->originating_ip_headers =
            arena_grow(p->c->arena, r->originating_ip_headers, n * sizeof(struct span),
                       (n + 1) * sizeof(struct span));
        r->originating_ip_headers[n] = word;
    }
    return 0;
}

READER(conf_redirector)
{
    (void)d;
    struct redirector r = {.at = p->at};
    if (!value.n)
        return missing(e);
    if (pattern_split(value, &r.pattern, &r.mods, e) != 0)
        return -1;
    *ARENA_PUSH(p->c->arena, p->c->redirectors, p->c->nredirectors, p->c->redirectors_cap) = r;
    return 0;
}

READER(conf_stopword)
{
    (void)e;
    struct span language = span_str(d->name + sizeof "bayes_stopword_" - 1), word;
    struct span last = SPAN_NONE;
    while ((word = span_word(&value, spaces)).p)
        last = word;
    if (!last.p)
        return missing(e);
    struct span *pattern = ARENA_NEW(p->c->arena, struct span);
    *pattern = arena_printf(p->c->arena, "^(?i)%.*s$", SPAN_ARG(last));
    *map_at(conf_own_map(p->c, &p->c->bayes.stopwords), language) = pattern;
    return 0;
}

READER(conf_ignore_header)
{
    (void)d;
    if (!value.n)
        return missing(e);
    *map_at(conf_own_map(p->c, &p->c->bayes.ignore_headers), arena_lower(p->c->arena, value)) =
        p->c;
    return 0;
}

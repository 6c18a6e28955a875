/* DecodeShortURLs without its network part: is there a link to a known shortener? What the link
 * leads to is not asked. */
#include "rules/eval_state.h"

#include "rules/eval.h"
#include "rules/plugin.h"

/* The reader keeps all lines as url_shortener's, so that their order counts: "-" in front takes
 * hosts away, an empty line all of them. */
static void add_hosts(struct map *hosts, struct arena *a, struct span value, void *mark)
{
    struct span word;
    while ((word = span_word(&value, " \t")).p)
        *map_at(hosts, arena_lower(a, word)) = mark;
}

static int prepare(struct arena *a, const struct conf *conf, struct eval_call *call, struct err *e)
{
    (void)e;
    void **slot = plugin_made(conf, "shorteners");
    call->prepared = *slot;
    if (*slot)
        return 0;
    struct map *hosts = ARENA_NEW(a, struct map);
    *hosts = map_in(a);
    const struct conf_lines *lines = conf_lines(conf, "url_shortener");
    for (size_t i = 0; lines && i < lines->n; i++) {
        struct span value = lines->v[i].value;
        if (!value.n)
            *hosts = map_in(a);
        else if (value.p[0] == '-')
            add_hosts(hosts, a, span_from(value, 1), NULL);
        else
            add_hosts(hosts, a, value, hosts);
    }
    *slot = call->prepared = hosts;
    return 0;
}

/* The rest after "http://" or "https://"; absent for anything else. */
static struct span after_scheme(struct span uri)
{
    if (span_istarts(uri, SPAN("http://")))
        return span_from(uri, 7);
    return span_istarts(uri, SPAN("https://")) ? span_from(uri, 8) : SPAN_NONE;
}

static bool has_word(struct span s)
{
    for (size_t i = 0; i < s.n && s.p[i] != '\n'; i++)
        if (ascii_isalnum(s.p[i]) || s.p[i] == '_')
            return true;
    return false;
}

static bool is_shortener(const struct map *hosts, struct arena *a, struct span uri)
{
    struct span rest = after_scheme(uri);
    size_t end = 0, levels = 0;
    while (end < rest.n && rest.p[end] != '/')
        end++;
    size_t user = span_find(span_sub(rest, 0, end), '@');
    if (user != SIZE_MAX && user + 1 < end)
        rest = span_from(rest, user + 1);
    end = 0;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != ':')
        levels += rest.p[end++] == '.';
    if (end == 0)
        return false;
    struct span host = arena_lower(a, span_sub(rest, 0, end));
    if (end < rest.n && rest.p[end] == ':')
        for (end++; end < rest.n && ascii_isdigit(rest.p[end]);)
            end++;
    if (levels == 1 && !has_word(span_from(rest, end)))
        return false;
    if (map_get(hosts, host))
        return true;
    size_t dot = span_find(host, '.');
    if (levels != 2 || dot == 0)
        return false;
    if (dot == 3 && span_starts(host, SPAN("www.")))
        return map_get(hosts, span_from(host, 4));
    return !span_starts(host, SPAN("www")) && map_get(hosts, span_from(host, dot));
}

static double short_url(struct rules_ctx *c, const struct eval_call *call)
{
    for (size_t i = 0; i < c->text->uris.n; i++) {
        const struct uri *u = &c->text->uris.v[i];
        size_t end = 0;
        if (!u->nhosts || !u->ncleaned)
            continue;
        while (end < u->key.n && u->key.p[end] != '#' && u->key.p[end] != '?')
            end++;
        if (is_shortener(call->prepared, c->a, span_sub(u->key, 0, end)))
            return 1;
    }
    return 0;
}

static double nothing(struct rules_ctx *c, const struct eval_call *call)
{
    (void)c, (void)call;
    return 0;
}

#define NET(name)                                                                                  \
    {                                                                                              \
        name, "DecodeShortURLs", nothing, .types = EVAL_BODIES, .net = true                        \
    }
const struct eval_fn_def eval_shorturl[] = {
    {"short_url", "DecodeShortURLs", short_url, .types = EVAL_BODIES, .prepare = prepare},
    NET("short_url_redir"),
    NET("short_url_200"),
    NET("short_url_404"),
    NET("short_url_code"),
    NET("short_url_chained"),
    NET("short_url_maxchain"),
    NET("short_url_loop"),
    {"short_url_tests", "DecodeShortURLs", nothing},
    {NULL},
};

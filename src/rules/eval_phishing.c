/* Phishing: links that stand in a list of known phishing sites, kept in a file on this machine
 * (OpenPhish, PhishTank, PhishStats). The files are read when the rules are loaded. */
#include "rules/eval_state.h"

#include <stdlib.h>

#include "rules/eval.h"
#include "rules/plugin.h"

struct phishing {
    bool noparam;      /* addresses count without what follows their '?' */
    double minscore;   /* PhishStats' sites with more than that count */
    struct map listed; /* address -> name of the feed */
};

static struct span without_query(struct span uri)
{
    size_t at = span_find(uri, '?');
    return at == SIZE_MAX ? uri : span_sub(uri, 0, at);
}

static void add(struct phishing *p, const struct conf *conf, struct span uri, const char *feed)
{
    struct span host, domain;
    if (!uri_host_domain(&conf->uri, conf->arena, uri, &host, &domain))
        return;
    void **slot = map_at(&p->listed, p->noparam ? without_query(uri) : uri);
    if (!*slot)
        *slot = (void *)(uintptr_t)feed;
}

/* A column without its double quotes; absent when the line has fewer. Commas separate always. */
static struct span column(struct arena *a, struct span line, unsigned n)
{
    for (; n; n--) {
        size_t comma = span_find(line, ',');
        if (comma == SIZE_MAX)
            return SPAN_NONE;
        line = span_from(line, comma + 1);
    }
    line = span_sub(line, 0, span_find(line, ','));
    char *p = arena_raw(a, line.n + 1);
    size_t at = 0;
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] != '"')
            p[at++] = line.p[i];
    return span_of(p, at);
}

static double number_of(struct arena *a, struct span s)
{
    return strtod(arena_cstr(a, s), NULL);
}

enum feed { FEED_OPENPHISH, FEED_PHISHTANK, FEED_PHISHSTATS, FEEDS };

static const struct {
    const char *setting, *name;
} feeds[FEEDS] = {{"phishing_openphish_feed", "OpenPhish"},
                  {"phishing_phishtank_feed", "PhishTank"},
                  {"phishing_phishstats_feed", "PhishStats"}};

static void read_line(struct phishing *p, const struct conf *conf, enum feed feed, struct span line)
{
    struct arena *a = conf->arena;
    struct span start = span_trim(line), uri = line;
    if (start.n && start.p[0] == '#')
        return;
    if (feed == FEED_PHISHTANK)
        uri = column(a, line, 1);
    if (feed == FEED_PHISHSTATS) {
        struct span score = column(a, line, 1);
        uri = column(a, line, 2);
        if (uri.p && p->minscore >= number_of(a, score))
            return;
    }
    if (uri.n)
        add(p, conf, uri, feeds[feed].name);
}

static int read_feed(struct phishing *p, const struct conf *conf, enum feed feed, struct err *e)
{
    struct span path = conf_value(conf, feeds[feed].setting, SPAN_NONE);
    if (!path.p)
        return 0;
    struct span text = plugin_file(conf->arena, path);
    if (!text.p)
        return err_set(e, "%s: %.*s can't be read", feeds[feed].setting, SPAN_ARG(path));
    for (bool first = feed != FEED_OPENPHISH; text.n; first = false) {
        size_t end = span_find(text, '\n');
        if (!first)
            read_line(p, conf, feed, span_sub(text, 0, end));
        text = end == SIZE_MAX ? SPAN_NONE : span_from(text, end + 1);
    }
    return 0;
}

static int prepare(struct arena *a, const struct conf *conf, struct eval_call *call, struct err *e)
{
    void **slot = plugin_made(conf, "phishing");
    struct phishing *p = *slot;
    int rc = 0;
    if (!p) {
        p = ARENA_NEW(a, struct phishing);
        p->noparam = conf_bool(conf, "phishing_uri_noparam", false);
        p->minscore = conf_number(conf, "phishing_phishstats_minscore", 6);
        p->listed = map_in(a);
        for (int i = 0; i < FEEDS; i++)
            if (read_feed(p, conf, (enum feed)i, e) != 0)
                rc = -1;
        *slot = p;
    }
    call->prepared = p;
    return p->listed.n ? 0 : rc; /* a feed that is missing costs only its own addresses */
}

static bool too_general(struct span uri)
{
    size_t slashes = 0;
    for (size_t i = 0; i < uri.n; i++)
        slashes += uri.p[i] == '/';
    return slashes <= 3;
}

static double check_phishing(struct rules_ctx *c, const struct eval_call *call)
{
    const struct phishing *p = call->prepared;
    for (size_t i = 0; p->listed.n && i < c->text->uris.n; i++) {
        const struct uri *u = &c->text->uris.v[i];
        if (span_istarts(u->key, SPAN("mailto:")) || !u->nhosts ||
            !(uri_has_type(u, "a") || uri_has_type(u, "parsed")))
            continue;
        for (size_t k = 0; k < u->ncleaned; k++) {
            struct span uri = p->noparam ? without_query(u->cleaned[k]) : u->cleaned[k];
            if (!(p->noparam && too_general(uri)) && map_get(&p->listed, uri))
                return 1;
        }
    }
    return 0;
}

const struct eval_fn_def eval_phishing[] = {
    {"check_phishing", "Phishing", check_phishing, .types = EVAL_BODIES, .prepare = prepare},
    {NULL},
};

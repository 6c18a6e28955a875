#include "rules/plugin.h"

#include "rules/conf_private.h"
#include "rules/geo.h"
#include "rules/ruleset_private.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void **plugin_made(const struct conf *conf, const char *name)
{
    struct conf_state *st = conf->state;
    if (!st->made.arena)
        st->made = map_in(conf->arena);
    return map_at(&st->made, span_str(name));
}

const void *plugin_has(const struct conf *conf, const char *name)
{
    const void *made = map_get(&conf->state->made, span_str(name));
    return made || !conf->under ? made : plugin_has(conf->under, name);
}

struct span plugin_file(struct arena *a, struct span path)
{
    int fd = open(arena_cstr(a, path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return SPAN_NONE;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > PLUGIN_FILE_MAX) {
        close(fd);
        return SPAN_NONE;
    }
    size_t size = (size_t)st.st_size, n = 0;
    char *p = arena_raw(a, size + 1);
    for (ssize_t got; n < size && (got = read(fd, p + n, size - n)) > 0;)
        n += (size_t)got;
    close(fd);
    p[n] = '\0';
    return span_of(p, n);
}

static void put_tag(struct rules_ctx *c, const char *name, struct span value)
{
    void **slot = map_at(&c->scratch->tags, span_str(name));
    struct tag_values *t = ARENA_NEW(c->a, struct tag_values);
    *ARENA_PUSH(c->a, t->v, t->n, t->cap) = value;
    *slot = t;
}

void plugin_tag(struct rules_ctx *c, const char *name, struct span value)
{
    if (!value.n)
        return;
    facts_add(&c->m->facts, c->a, arena_printf(c->a, "tag.%s", name).p, value);
    if (c->scratch)
        put_tag(c, name, value);
}

void plugin_tags(struct rules_ctx *c)
{
    const struct facts *f = &c->m->facts;
    for (size_t i = 0; i < f->nfacts; i++)
        if (strncmp(f->facts[i].name, "tag.", 4) == 0)
            put_tag(c, f->facts[i].name + 4, f->facts[i].value);
}

void plugin_uri(struct rules_ctx *c, struct span uri)
{
    static const char *const types[] = {"parsed"};
    uris_add(&c->text->uris, &c->conf->uri, c->a, uri, false, true, false, types, 1);
}

void plugins_extract(struct rules_ctx *c)
{
    if (conf_plugin(c->conf, "PDFInfo"))
        pdf_extract(c);
    if (conf_plugin(c->conf, "OLEVBMacro"))
        office_extract(c);
    if (conf_plugin(c->conf, "TextCat"))
        language_extract(c);
    geo_extract(c);
}

void plugins_prepare(struct ruleset *rs)
{
    static const char *const names[] = {"RelayCountry", "ASN", "URILocalBL"};
    struct err e = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (conf_plugin(rs->conf, names[i]) && !geo_open(rs->arena, rs->conf, &e))
            ruleset_problem(rs, (struct conf_at){0}, "plugin %s: %s; it tells nothing", names[i],
                            e.text);
    bayes_prepare(rs);
}

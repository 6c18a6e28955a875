/* The URI list: from text, from HTML, from DKIM signatures (semantics 5.1 to 5.3). */
#include "text/text_private.h"

static void from_text(struct text *t, const struct uri_tables *tables)
{
    struct uri_founds found = uri_founds_in(t->arena);
    for (size_t i = 0; i < t->body.n; i++)
        uri_find(tables, t->arena, t->body.v[i], &found);
    for (size_t i = 0; i < found.n; i++) {
        const struct uri_found *f = &found.v[i];
        const char *types[3] = {"parsed"};
        size_t n = 1;
        if (f->unlinked)
            types[n++] = "unlinked";
        if (f->schemeless)
            types[n++] = "schemeless";
        uris_add(&t->uris, tables, t->arena, f->uri, false, true, true, types, n);
    }
}

static struct span narrow(struct text *t, struct html_text s)
{
    return s.chars ? uri_narrow(t->arena, s.s) : s.s;
}

static void from_html(struct text *t, const struct uri_tables *tables, const struct html_links *l)
{
    static const char *const parsed[] = {"parsed"};
    t->uris.truncated |= l->truncated;
    for (size_t i = 0; i < l->n; i++) {
        const struct html_link *link = &l->v[i];
        bool typed = link->ntypes > 0;
        struct uri *u = uris_add(&t->uris, tables, t->arena, link->key.s, link->key.chars, true,
                                 false, typed ? link->types : parsed, typed ? link->ntypes : 1);
        for (size_t k = 0; u && k < link->anchors.n; k++)
            *ARENA_PUSH(t->arena, u->anchors, u->nanchors, u->anchors_cap) =
                narrow(t, link->anchors.v[k]);
    }
}

/* The next "\bd\s*=\s*([^;]+)" in s from *at on, without white space; false when there is none. */
static bool next_domain(struct arena *a, struct span s, size_t *at, struct span *out)
{
    for (size_t i = *at; i < s.n; i++) {
        if (s.p[i] != 'd' || (i && (ascii_isalnum(s.p[i - 1]) || s.p[i - 1] == '_')))
            continue;
        size_t k = i + 1;
        while (k < s.n && ascii_isspace(s.p[k]))
            k++;
        if (k == s.n || s.p[k++] != '=')
            continue;
        size_t end = k;
        while (end < s.n && s.p[end] != ';')
            end++;
        if (end == k)
            continue;
        char *d = arena_raw(a, end - k + 11);
        size_t n = 11;
        memcpy(d, "domainkeys:", n);
        for (; k < end; k++)
            if (!ascii_isspace(s.p[k]))
                d[n++] = s.p[k];
        *out = span_of(d, n);
        *at = end;
        return true;
    }
    return false;
}

static void from_signatures(struct text *t, struct mime *m, const struct uri_tables *tables)
{
    static const struct span names[] = {{"DomainKey-Signature", 19}, {"DKIM-Signature", 14}};
    static const char *const types[] = {"domainkeys", "nocanon", "noclean"};
    struct mime_fields *fields = &m->root->fields;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = mime_find(fields, names[k], 0); i < fields->n;
             i = mime_find(fields, names[k], i + 1)) {
            struct span value = mime_decoded(m, &fields->v[i]), d;
            for (size_t at = 0; next_domain(t->arena, value, &at, &d);)
                uris_add(&t->uris, tables, t->arena, d, false, false, true, types, 3);
        }
}

void text_find_uris(struct text *t, struct mime *m, const struct uri_tables *tables, bool dkim)
{
    t->uris = uris_in(t->arena);
    from_text(t, tables);
    for (size_t i = 0; i < t->nhtml; i++)
        from_html(t, tables, &t->html[i].html->links);
    if (dkim)
        from_signatures(t, m, tables);
}

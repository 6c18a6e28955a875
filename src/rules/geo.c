#include "rules/geo.h"

#include <sys/stat.h>

#include <maxminddb.h>

#include "relays/ip_pattern.h"
#include "rules/plugin.h"

enum geo_kind { GEO_CITY, GEO_COUNTRY, GEO_ISP, GEO_ASN, GEO_KINDS };

struct geo {
    MMDB_s db[GEO_KINDS];
    bool open[GEO_KINDS];
};

static const char *const kind_names[GEO_KINDS] = {"city", "country", "isp", "asn"};

static const char *const files[GEO_KINDS][4] = {
    {"GeoIP2-City.mmdb", "GeoLite2-City.mmdb", "dbip-city.mmdb", "dbip-city-lite.mmdb"},
    {"GeoIP2-Country.mmdb", "GeoLite2-Country.mmdb", "dbip-country.mmdb", "dbip-country-lite.mmdb"},
    {"GeoIP2-ISP.mmdb", "GeoLite2-ISP.mmdb"},
    {"GeoIP2-ASN.mmdb", "GeoLite2-ASN.mmdb"},
};

/* --- finding --- */

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* "country:/path" of the geodb_options lines, the last one; absent when none names the kind. */
static struct span option_of(const struct conf *conf, const char *kind)
{
    const struct conf_lines *lines = conf_lines(conf, "geodb_options");
    struct span found = SPAN_NONE, word;
    for (size_t i = 0; lines && i < lines->n; i++) {
        struct span rest = lines->v[i].value;
        while ((word = span_word(&rest, " \t")).p) {
            size_t colon = span_find(word, ':');
            if (span_ieq(word, SPAN("reset")))
                found = SPAN_NONE;
            else if (colon != SIZE_MAX && span_ieq(span_sub(word, 0, colon), span_str(kind)))
                found = span_from(word, colon + 1);
        }
    }
    return found;
}

static struct span country_path(const struct conf *conf)
{
    struct span path = conf_value(conf, "uri_country_db_path", SPAN_NONE);
    return path.n ? path : conf_value(conf, "country_db_path", SPAN_NONE);
}

static const char *in_directory(struct arena *a, struct span dir, enum geo_kind kind)
{
    for (size_t i = 0; i < 4 && files[kind][i]; i++) {
        struct span path = arena_printf(a, "%.*s/%s", SPAN_ARG(dir), files[kind][i]);
        if (is_file(path.p))
            return path.p;
    }
    return NULL;
}

static const char *search(struct arena *a, const struct conf *conf, enum geo_kind kind)
{
    struct span dirs = SPAN("/usr/local/share/GeoIP /usr/share/GeoIP /var/lib/GeoIP "
                            "/opt/share/GeoIP"),
                dir;
    const struct conf_lines *lines = conf_lines(conf, "geodb_search_path");
    const char *found = NULL;
    for (size_t i = 0; lines && i < lines->n; i++) {
        struct span word = lines->v[i].value;
        dirs = i == 0 || span_eq(word, SPAN("reset")) ? SPAN("") : dirs;
        if (!span_eq(word, SPAN("reset")))
            dirs = arena_printf(a, "%.*s %.*s", SPAN_ARG(dirs), SPAN_ARG(word));
    }
    while (!found && (dir = span_word(&dirs, " \t")).p)
        found = in_directory(a, dir, kind);
    return found;
}

static const char *path_of(struct arena *a, const struct conf *conf, enum geo_kind kind)
{
    struct span named = option_of(conf, kind_names[kind]);
    if (!named.p && kind == GEO_COUNTRY)
        named = country_path(conf);
    if (!named.p)
        return search(a, conf, kind);
    const char *path = arena_cstr(a, named);
    return is_file(path) ? path : NULL;
}

static void close_all(void *ctx)
{
    struct geo *g = ctx;
    for (int i = 0; i < GEO_KINDS; i++)
        if (g->open[i])
            MMDB_close(&g->db[i]);
}

/* A city's database knows countries, and an ISP's knows numbers. */
static bool needless(const struct geo *g, enum geo_kind kind)
{
    return (kind == GEO_COUNTRY && g->open[GEO_CITY]) || (kind == GEO_ASN && g->open[GEO_ISP]);
}

const struct geo *geo_open(struct arena *a, const struct conf *conf, struct err *e)
{
    if (geo_of(conf))
        return geo_of(conf);
    struct geo *g = ARENA_NEW(a, struct geo);
    bool any = false;
    for (int i = 0; i < GEO_KINDS; i++) {
        const char *path =
            needless(g, (enum geo_kind)i) ? NULL : path_of(a, conf, (enum geo_kind)i);
        if (!path)
            continue;
        int rc = MMDB_open(path, MMDB_MODE_MMAP, &g->db[i]);
        g->open[i] = rc == MMDB_SUCCESS;
        any |= g->open[i];
        if (rc != MMDB_SUCCESS)
            err_set(e, "%s: %s", path, MMDB_strerror(rc));
    }
    arena_defer(a, close_all, g);
    if (!any) {
        if (!e->text[0])
            err_set(e, "no database of countries or networks (*.mmdb) is found");
        return NULL;
    }
    *plugin_made(conf, "geo") = g;
    return g;
}

const struct geo *geo_of(const struct conf *conf)
{
    return plugin_has(conf, "geo");
}

bool geo_has_country(const struct geo *g)
{
    return g && (g->open[GEO_CITY] || g->open[GEO_COUNTRY]);
}

bool geo_has_isp(const struct geo *g)
{
    return g && g->open[GEO_ISP];
}

bool geo_has_asn(const struct geo *g)
{
    return g && (g->open[GEO_ASN] || g->open[GEO_ISP]);
}

/* --- asking --- */

static bool lookup(const struct geo *g, enum geo_kind kind, struct arena *a, struct span ip,
                   MMDB_lookup_result_s *out)
{
    int resolve = 0, rc = 0;
    if (!g->open[kind] || ip.n > 64)
        return false;
    *out = MMDB_lookup_string(&g->db[kind], arena_cstr(a, ip), &resolve, &rc);
    return resolve == 0 && rc == MMDB_SUCCESS && out->found_entry;
}

static struct span value_at(MMDB_lookup_result_s *r, struct arena *a, const char *const *path)
{
    MMDB_entry_data_s d;
    if (MMDB_aget_value(&r->entry, &d, path) != MMDB_SUCCESS || !d.has_data)
        return SPAN_NONE;
    switch (d.type) {
    case MMDB_DATA_TYPE_UTF8_STRING:
        return arena_dup(a, span_of(d.utf8_string, d.data_size));
    case MMDB_DATA_TYPE_UINT16:
        return arena_printf(a, "%u", (unsigned)d.uint16);
    case MMDB_DATA_TYPE_UINT32:
        return arena_printf(a, "%u", (unsigned)d.uint32);
    default:
        return SPAN_NONE;
    }
}

static struct span place(const struct geo *g, struct arena *a, struct span ip,
                         const char *const *path)
{
    MMDB_lookup_result_s r;
    enum geo_kind kind = g->open[GEO_CITY] ? GEO_CITY : GEO_COUNTRY;
    struct span s = lookup(g, kind, a, ip, &r) ? value_at(&r, a, path) : SPAN_NONE;
    return s.n ? s : SPAN("XX");
}

struct span geo_country(const struct geo *g, struct arena *a, struct span ip)
{
    static const char *const path[] = {"country", "iso_code", NULL};
    return ip_pattern_private(ip) ? SPAN("**") : place(g, a, ip, path);
}

struct span geo_continent(const struct geo *g, struct arena *a, struct span ip)
{
    static const char *const path[] = {"continent", "code", NULL};
    return place(g, a, ip, path);
}

static struct span owner(const struct geo *g, enum geo_kind first, enum geo_kind second,
                         struct arena *a, struct span ip, const char *key)
{
    const char *const path[] = {key, NULL};
    MMDB_lookup_result_s r;
    enum geo_kind kind = g->open[first] ? first : second;
    return lookup(g, kind, a, ip, &r) ? value_at(&r, a, path) : SPAN_NONE;
}

struct span geo_isp(const struct geo *g, struct arena *a, struct span ip)
{
    return owner(g, GEO_ISP, GEO_ISP, a, ip, "isp");
}

struct span geo_asn(const struct geo *g, struct arena *a, struct span ip)
{
    return owner(g, GEO_ASN, GEO_ISP, a, ip, "autonomous_system_number");
}

struct span geo_asn_owner(const struct geo *g, struct arena *a, struct span ip)
{
    return owner(g, GEO_ASN, GEO_ISP, a, ip, "autonomous_system_organization");
}

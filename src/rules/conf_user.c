/* Preferences of a user on top of the rule files: what a user may say, and what it changes.
 *
 * An overlay begins as a shallow copy. Tables know their arena, so whoever changes one copies it
 * first when it belongs to the files underneath (conf_own_map, conf_own_globs); definitions of
 * rules are copied one by one (conf_rule_at). Short arrays are copied at once. */
#include "rules/conf_private.h"

#include <stdlib.h>

/* --- who may say what --- */

/* Conf.pm's is_admin, and that of the plugins: never from preferences. */
static const char *const admins[] = {
    "asn_prefer_geodb",
    "asn_use_dns",
    "asn_use_geodb",
    "authres_ignored_authserv",
    "authres_networks",
    "authres_trusted_authserv",
    "auto_welcomelist_db_modules",
    "auto_welcomelist_factory",
    "auto_welcomelist_file_mode",
    "auto_welcomelist_path",
    "auto_whitelist_db_modules",
    "auto_whitelist_factory",
    "auto_whitelist_file_mode",
    "auto_whitelist_path",
    "bayes_file_mode",
    "bayes_path",
    "bayes_sql_dsn",
    "bayes_sql_password",
    "bayes_sql_username",
    "bayes_sql_username_authorized",
    "bayes_store_module",
    "body_part_scan_size",
    "country_db_path",
    "country_db_type",
    "dcc_dccifd_path",
    "dcc_home",
    "dcc_learn_score",
    "dcc_options",
    "dcc_path",
    "dcc_timeout",
    "dccifd_options",
    "dkim_timeout",
    "dmarc_save_reports",
    "dns_block_rule",
    "dns_block_time",
    "dns_local_ports_avoid",
    "dns_local_ports_none",
    "dns_local_ports_permit",
    "do_not_use_mail_spf",
    "do_not_use_mail_spf_query",
    "enable_compat",
    "extracttext_maxparts",
    "extracttext_timeout",
    "geodb_module",
    "geodb_options",
    "geodb_search_path",
    "ignore_always_matching_regexps",
    "ignore_received_spf_header",
    "loadplugin",
    "max_short_url_redirections",
    "max_short_urls",
    "phishing_openphish_feed",
    "phishing_phishstats_feed",
    "phishing_phishstats_minscore",
    "phishing_phishtank_feed",
    "phishing_uri_noparam",
    "pyzor_fork",
    "pyzor_options",
    "pyzor_path",
    "pyzor_perl",
    "pyzor_server_file",
    "pyzor_timeout",
    "rawbody_part_scan_size",
    "razor_config",
    "razor_fork",
    "razor_timeout",
    "rbl_timeout",
    "spf_timeout",
    "test",
    "trigger_config",
    "trigger_ratio",
    "trigger_target",
    "tryplugin",
    "uri_country_db_isp_path",
    "uri_country_db_path",
    "uridnsbl_max_domains",
    "uridnsbl_skip_mailto",
    "url_shortener_cache_autoclean",
    "url_shortener_cache_ttl",
    "url_shortener_loginfo",
    "url_shortener_timeout",
    "url_shortener_user_agent",
    "use_newest_received_spf_header",
    "user_scores_dsn",
    "user_scores_fallback_to_global",
    "user_scores_ldap_password",
    "user_scores_ldap_username",
    "user_scores_sql_custom_query",
    "user_scores_sql_password",
    "user_scores_sql_username",
    "util_rb_2tld",
    "util_rb_3tld",
    "util_rb_tld",
    "version_tag",
};

/* is_priv: only with allow_user_rules. */
static const char *const privileged[] = {
    "allow_user_rules",
    "askdns",
    "asn_lookup",
    "asn_lookup_ipv6",
    "body",
    "full",
    "header",
    "meta",
    "mimeheader",
    "priority",
    "rawbody",
    "rbl_headers",
    "redirector_pattern",
    "replace_end",
    "replace_inter",
    "replace_post",
    "replace_pre",
    "replace_rules",
    "replace_start",
    "replace_tag",
    "reuse",
    "tflags",
    "uri",
    "uri_block_cc",
    "uri_block_cidr",
    "uri_block_cont",
    "uri_block_exclude",
    "uri_block_isp",
    "uri_detail",
    "uridnsbl",
    "uridnssub",
    "urifullnsrhsbl",
    "urifullnsrhssub",
    "urinsrhsbl",
    "urinsrhssub",
    "urirhsbl",
    "urirhssub",
    "url_shortener_cache_dsn",
    "url_shortener_cache_password",
    "url_shortener_cache_type",
    "url_shortener_cache_username",
};

static int by_text(const void *key, const void *member)
{
    return strcmp(key, *(const char *const *)member);
}

#define AMONG(name, list)                                                                          \
    (bsearch(name, list, sizeof(list) / sizeof *(list), sizeof *(list), by_text) != NULL)

enum conf_who conf_who(const char *directive)
{
    return AMONG(directive, admins)       ? WHO_ADMIN
           : AMONG(directive, privileged) ? WHO_PRIVILEGED
                                          : WHO_USER;
}

/* --- what it changes --- */

static const struct {
    int (*read)(struct conf_parser *p, const struct conf_directive *d, struct span value,
                struct err *e);
    unsigned touch;
} by_reader[] = {
    {conf_score, TOUCH_RULES},           {conf_describe, TOUCH_RULES},
    {conf_tflags, TOUCH_RULES},          {conf_priority, TOUCH_RULES},
    {conf_shortcircuit, TOUCH_RULES},    {conf_subjprefix, TOUCH_RULES},
    {conf_rule_header, TOUCH_RULES},     {conf_rule_body, TOUCH_RULES},
    {conf_rule_meta, TOUCH_RULES},       {conf_rule_mimeheader, TOUCH_RULES},
    {conf_rule_uri_detail, TOUCH_RULES}, {conf_rule_empty, TOUCH_RULES},
    {conf_globs, TOUCH_LISTS},           {conf_globs_drop, TOUCH_LISTS},
    {conf_globs_pair, TOUCH_LISTS},      {conf_globs_pair_drop, TOUCH_LISTS},
    {conf_addrlist, TOUCH_LISTS},        {conf_fns_addrlist, TOUCH_LISTS},
    {conf_uri_host, TOUCH_LISTS},        {conf_template, TOUCH_REPORT},
    {conf_template_clear, TOUCH_REPORT}, {conf_add_header, TOUCH_REPORT},
    {conf_remove_header, TOUCH_REPORT},  {conf_clear_headers, TOUCH_REPORT},
    {conf_rewrite, TOUCH_REPORT},        {conf_safe_copy, TOUCH_REPORT},
    {conf_report_safe, TOUCH_REPORT},    {conf_uri_block, TOUCH_RULES},
    {conf_stopword, TOUCH_LEARNING},     {conf_ignore_header, TOUCH_LEARNING},
};

/* The generic readers say by their field what they change. */
static unsigned touch_of_field(size_t at)
{
    struct range {
        size_t from, size;
        unsigned touch;
    };
#define IN(member, touch)                                                                          \
    {                                                                                              \
        offsetof(struct conf, member), sizeof(((struct conf *)NULL)->member), touch                \
    }
    const struct range ranges[] = {IN(report, TOUCH_REPORT),      IN(required_score, TOUCH_REPORT),
                                   IN(ok_locales, TOUCH_LOCALES), IN(ok_languages, TOUCH_LANGUAGES),
                                   IN(bayes, TOUCH_LEARNING),     IN(time_limit, TOUCH_LEARNING)};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (at >= ranges[i].from && at < ranges[i].from + ranges[i].size)
            return ranges[i].touch;
    return TOUCH_ALL;
}

/* Lines that are kept for somebody who asks the network or learns change no hit here. */
static bool of_no_consequence(const struct conf_directive *d)
{
    static const char *const starts[] = {"bayes_", "auto_w",    "user_awl", "use_",   "txrep_",
                                         "dns_",   "clear_dns", "spamcop_", "pyzor_", "dcc_",
                                         "razor_", "lock_",     "mbox_",    "skip_",  "version"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (strncmp(d->name, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

unsigned conf_touch(const struct conf_directive *d)
{
    for (size_t i = 0; i < sizeof by_reader / sizeof *by_reader; i++)
        if (d->read == by_reader[i].read)
            return by_reader[i].touch;
    if (d->field)
        return touch_of_field(d->field);
    return of_no_consequence(d) ? TOUCH_LEARNING : TOUCH_ALL;
}

/* --- the overlay --- */

static struct map map_copy(const struct map *m, struct arena *a)
{
    struct map copy = map_in(a);
    for (size_t i = 0; i < m->n; i++)
        *map_at(&copy, m->entries[i].key) = m->entries[i].value;
    return copy;
}

struct map *conf_own_map(struct conf *c, struct map *m)
{
    if (m->arena != c->arena)
        *m = map_copy(m, c->arena);
    return m;
}

static void *array_copy(struct arena *a, const void *v, size_t n, size_t size)
{
    void *copy = arena_array(a, n + 1, size);
    if (n)
        memcpy(copy, v, n * size);
    return copy;
}

#define OWN(a, v, n, cap)                                                                          \
    do {                                                                                           \
        (v) = array_copy(a, v, n, sizeof *(v));                                                    \
        (cap) = (n) + 1;                                                                           \
    } while (0)

struct globs *conf_own_globs(struct conf *c, struct globs *g)
{
    if (g->arena == c->arena)
        return g;
    g->arena = c->arena;
    OWN(c->arena, g->v, g->n, g->cap);
    OWN(c->arena, g->rest, g->nrest, g->rest_cap);
    g->exact = map_copy(&g->exact, c->arena);
    g->at_domain = map_copy(&g->at_domain, c->arena);
    return g;
}

void conf_own_rules(struct conf *c)
{
    if (!c->under || c->own_rules)
        return;
    OWN(c->arena, c->rules, c->nrules, c->rules_cap);
    c->own_rules = true;
}

static void own_arrays(struct conf *c)
{
    struct arena *a = c->arena;
    struct netset *nets[] = {&c->relays.trusted, &c->relays.internal, &c->relays.msa};
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        OWN(a, nets[i]->v, nets[i]->n, nets[i]->cap);
    OWN(a, c->report.headers, c->report.nheaders, c->report.headers_cap);
    OWN(a, c->freemail.wildcards, c->freemail.nwildcards, c->freemail.wildcards_cap);
    OWN(a, c->redirectors, c->nredirectors, c->redirectors_cap);
    c->report.safe_copy_headers =
        array_copy(a, c->report.safe_copy_headers, c->report.nsafe_copy, sizeof(struct span));
    c->relays.originating_ip_headers = array_copy(a, c->relays.originating_ip_headers,
                                                  c->relays.noriginating, sizeof(struct span));
}

struct conf *conf_over(struct arena *a, const struct conf *under)
{
    struct conf *c = ARENA_NEW(a, struct conf);
    struct conf_state *st = ARENA_NEW(a, struct conf_state);
    *c = *under;
    *st = *under->state;
    c->arena = a;
    c->state = st;
    c->under = under;
    c->by_name = map_in(a);
    st->conditions = map_in(a);
    st->seen_files = map_in(a);
    st->made = map_in(a);
    c->files = NULL;
    c->nfiles = c->files_cap = 0;
    c->problems = NULL;
    c->nproblems = c->problems_cap = 0;
    own_arrays(c);
    return c;
}

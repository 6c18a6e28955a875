/* Every directive of SpamAssassin 4.0.1: by whom it is read, and the plugin that knows it. */
#include "rules/conf_private.h"

#include <stdlib.h>

#include "config/value.h"

static int read_bool(struct conf_parser *p, const struct conf_directive *d, struct span value,
                     struct err *e)
{
    bool yes = span_ieq(value, SPAN("yes")) || span_eq(value, SPAN("1"));
    if (!yes && !span_ieq(value, SPAN("no")) && !span_eq(value, SPAN("0")))
        return err_set(e, "'%.*s' is neither 1, 0, yes nor no", SPAN_ARG(value));
    *(bool *)((char *)p->c + d->field) = yes;
    return 0;
}

/* [+-]digits[.digits], and for durations a unit; seconds. */
static int number(struct span value, bool duration, double *out, struct err *e)
{
    char text[64];
    struct span s = value;
    double factor = 1;
    if (duration && s.n && ascii_isalpha(s.p[s.n - 1])) {
        static const char units[] = "smhdw";
        static const double seconds[] = {1, 60, 3600, 86400, 604800};
        const char *u = strchr(units, ascii_lower(s.p[s.n - 1]));
        if (!u)
            return err_set(e, "'%.*s': the unit is one of s m h d w", SPAN_ARG(value));
        factor = seconds[u - units];
        s = span_trim(span_sub(s, 0, s.n - 1));
    }
    size_t i = s.n && (s.p[0] == '+' || (!duration && s.p[0] == '-'));
    bool digits = i < s.n && ascii_isdigit(s.p[i]);
    while (i < s.n && ascii_isdigit(s.p[i]))
        i++;
    if (i < s.n && s.p[i] == '.')
        for (i++; i < s.n && ascii_isdigit(s.p[i]);)
            i++;
    if (!digits || i != s.n || s.n >= sizeof text)
        return err_set(e, "'%.*s' is not a number", SPAN_ARG(value));
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *out = strtod(text, NULL) * factor;
    return 0;
}

static int read_double(struct conf_parser *p, const struct conf_directive *d, struct span value,
                       struct err *e)
{
    return number(value, d->arg, (double *)((char *)p->c + d->field), e);
}

static int read_whole(struct conf_parser *p, const struct conf_directive *d, struct span value,
                      struct err *e)
{
    double n;
    if (number(value, false, &n, e) != 0)
        return -1;
    if (n < 0 || n > 1e9)
        return err_set(e, "%g is out of range", n);
    if (d->arg == sizeof(size_t))
        *(size_t *)((char *)p->c + d->field) = (size_t)n;
    else
        *(unsigned *)((char *)p->c + d->field) = (unsigned)n;
    return 0;
}

static int read_string(struct conf_parser *p, const struct conf_directive *d, struct span value,
                       struct err *e)
{
    if (!value.n)
        return err_set(e, "a value is missing");
    *(struct span *)((char *)p->c + d->field) = value;
    return 0;
}

int conf_keep_line(struct conf_parser *p, const struct conf_directive *d, struct span value,
                   struct err *e)
{
    (void)e;
    struct conf *c = p->c;
    void **slot = map_at(conf_own_map(c, &c->lines), span_str(d->name));
    struct conf_lines *l = *slot;
    bool below = l && c->under && conf_lines(c->under, d->name) == l;
    if (!l || below) {
        *slot = ARENA_NEW(c->arena, struct conf_lines);
        for (size_t i = 0; below && i < l->n; i++) {
            struct conf_lines *own = *slot;
            *ARENA_PUSH(c->arena, own->v, own->n, own->cap) = l->v[i];
        }
        l = *slot;
    }
    *ARENA_PUSH(c->arena, l->v, l->n, l->cap) = (struct conf_line){value, p->at};
    return 0;
}

static int kept_bool(struct conf_parser *p, const struct conf_directive *d, struct span value,
                     struct err *e)
{
    if (!span_ieq(value, SPAN("yes")) && !span_ieq(value, SPAN("no")) &&
        !span_eq(value, SPAN("1")) && !span_eq(value, SPAN("0")))
        return err_set(e, "'%.*s' is neither 1, 0, yes nor no", SPAN_ARG(value));
    return conf_keep_line(p, d, value, e);
}

static int kept_number(struct conf_parser *p, const struct conf_directive *d, struct span value,
                       struct err *e)
{
    double ignored;
    return number(value, d->arg, &ignored, e) != 0 ? -1 : conf_keep_line(p, d, value, e);
}

static int kept_value(struct conf_parser *p, const struct conf_directive *d, struct span value,
                      struct err *e)
{
    return value.n ? conf_keep_line(p, d, value, e) : err_set(e, "a value is missing");
}

/* One digit up to arg. */
static int kept_digit(struct conf_parser *p, const struct conf_directive *d, struct span value,
                      struct err *e)
{
    if (value.n != 1 || value.p[0] < '0' || value.p[0] > '0' + d->arg)
        return err_set(e, "'%.*s' is not one of 0 to %d", SPAN_ARG(value), d->arg);
    return conf_keep_line(p, d, value, e);
}

/* Lines that add shorteners and lines that take them away (arg 1) work in the order of the files:
 * kept as one list, with "-" in front of what is taken away, empty for all. */
static int kept_shortener(struct conf_parser *p, const struct conf_directive *d, struct span value,
                          struct err *e)
{
    const struct conf_directive list = {.name = "url_shortener"};
    if (!d->arg && !value.n)
        return err_set(e, "a value is missing");
    if (d->arg && value.n)
        value = arena_printf(p->c->arena, "-%.*s", SPAN_ARG(value));
    return conf_keep_line(p, &list, value, e);
}

/* ASN's zones: one list in the order of the files, the address family (arg) or "-", which clears,
 * in front. */
static int kept_asn(struct conf_parser *p, const struct conf_directive *d, struct span value,
                    struct err *e)
{
    const struct conf_directive list = {.name = "asn_lookup"};
    struct span rest = value, zone = span_word(&rest, " \t"), tag;
    size_t tags = 0;
    bool fine = true;
    for (; (tag = span_word(&rest, " \t")).n; tags++)
        fine &= tag.n > 2 && tag.p[0] == '_' && tag.p[tag.n - 1] == '_';
    if (d->arg != '-' && !zone.n)
        return err_set(e, "a value is missing");
    if (d->arg == '-' ? value.n > 0 : !fine || (tags != 0 && tags != 2))
        return err_set(e, d->arg == '-' ? "it takes no value"
                                        : "expected ZONE, or ZONE _ASNTAG_ _ROUTETAG_");
    return conf_keep_line(p, &list,
                          arena_printf(p->c->arena, "%c %.*s", (int)d->arg, SPAN_ARG(value)), e);
}

/* A directive that empties what an earlier one gathered: kept, for its reader to see the order. */
static int kept_bare(struct conf_parser *p, const struct conf_directive *d, struct span value,
                     struct err *e)
{
    return conf_keep_line(p, d, value, e);
}

/* Plugins that are known but do nothing here (docs/spamassassin-compatibility.md). */
static bool plugin_missing(struct span name)
{
    static const char prefix[] = "Mail::SpamAssassin::Plugin::";
    static const char *const names[] = {"ExtractText", "PhishTag"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_starts(name, span_str(prefix)) &&
            span_eq(span_from(name, sizeof prefix - 1), span_str(names[i])))
            return true;
    return false;
}

static int load_plugin(struct conf_parser *p, const struct conf_directive *d, struct span value,
                       struct err *e)
{
    struct span rest, name = conf_first_word(value, &rest);
    if (!name.n)
        return err_set(e, "a value is missing");
    for (size_t i = 0; i < name.n; i++)
        if (!ascii_isalnum(name.p[i]) && name.p[i] != '_' && name.p[i] != ':')
            return err_set(e, "'%.*s' is not the name of a Perl package", SPAN_ARG(name));
    if (span_eq(name, SPAN("Mail::SpamAssassin::Plugin::Dmarc")))
        name = SPAN("Mail::SpamAssassin::Plugin::DMARC");
    if (span_eq(name, SPAN("Mail::SpamAssassin::Plugin::WhiteListSubject")))
        name = SPAN("Mail::SpamAssassin::Plugin::WelcomeListSubject");
    if (plugin_missing(name))
        conf_problem(p->c, p->at,
                     "plugin %.*s does nothing here: its settings are read, its rules do not hit",
                     SPAN_ARG(name));
    bool clamav = span_eq(name, SPAN("ClamAV")); /* as the wiki names it, clamav.pm behind it */
    if (rest.n && !clamav)
        conf_problem(p->c, p->at,
                     "plugin %.*s is Perl code of its own ('%.*s') and is not run; rules "
                     "that call its functions do not hit",
                     SPAN_ARG(name), SPAN_ARG(rest));
    struct map *plugins = conf_own_map(p->c, &p->c->plugins);
    *map_at(plugins, arena_dup(p->c->arena, name)) = p->c;
    if (clamav)
        *map_at(plugins, SPAN("Mail::SpamAssassin::Plugin::ClamAV")) = p->c;
    return conf_keep_line(p, d, value, e);
}

static int enable_compat(struct conf_parser *p, const struct conf_directive *d, struct span value,
                         struct err *e)
{
    if (!value.n || value.n > 128)
        return err_set(e, "the name of a compatibility flag is wanted");
    *map_at(conf_own_map(p->c, &p->c->state->compat), value) = p->c;
    return conf_keep_line(p, d, value, e);
}

static int replace_text(struct conf_parser *p, const struct conf_directive *d, struct span value,
                        struct err *e)
{
    struct conf_state *st = p->c->state;
    struct map *maps[] = {&st->replace_tag, &st->replace_pre, &st->replace_inter,
                          &st->replace_post};
    struct span rest, name = conf_first_word(value, &rest);
    if (!rest.n)
        return err_set(e, "a name and an expression are wanted");
    struct span *text = ARENA_NEW(p->c->arena, struct span);
    *text = rest;
    *map_at(conf_own_map(p->c, maps[d->arg]), name) = text;
    return 0;
}

static int replace_rules(struct conf_parser *p, const struct conf_directive *d, struct span value,
                         struct err *e)
{
    struct span word;
    (void)d;
    if (!value.n)
        return err_set(e, "names of rules are wanted");
    while ((word = span_word(&value, " \t")).p)
        *map_at(conf_own_map(p->c, &p->c->state->replace_rules), word) = p->c;
    return 0;
}

static int replace_mark(struct conf_parser *p, const struct conf_directive *d, struct span value,
                        struct err *e)
{
    if (!value.n)
        return err_set(e, "a value is missing");
    *(d->arg ? &p->c->state->replace_end : &p->c->state->replace_start) = value;
    return 0;
}

#define F(member) offsetof(struct conf, member)
#define BOOL(n, m)                                                                                 \
    {                                                                                              \
        n, NULL, read_bool, F(m), 0                                                                \
    }
#define STRING(n, m)                                                                               \
    {                                                                                              \
        n, NULL, read_string, F(m), 0                                                              \
    }
#define DOUBLE(n, m)                                                                               \
    {                                                                                              \
        n, NULL, read_double, F(m), 0                                                              \
    }
#define TIME(n, m)                                                                                 \
    {                                                                                              \
        n, NULL, read_double, F(m), 1                                                              \
    }
#define WHOLE(n, m)                                                                                \
    {                                                                                              \
        n, NULL, read_whole, F(m), sizeof(((struct conf *)NULL)->m)                                \
    }
#define KEEP(n)                                                                                    \
    {                                                                                              \
        n, NULL, kept_value, 0, 0                                                                  \
    }
#define KEEP_BOOL(n)                                                                               \
    {                                                                                              \
        n, NULL, kept_bool, 0, 0                                                                   \
    }
#define KEEP_NUM(n)                                                                                \
    {                                                                                              \
        n, NULL, kept_number, 0, 0                                                                 \
    }
#define KEEP_TIME(n)                                                                               \
    {                                                                                              \
        n, NULL, kept_number, 0, 1                                                                 \
    }
#define KEEP_BARE(n)                                                                               \
    {                                                                                              \
        n, NULL, kept_bare, 0, 0                                                                   \
    }
#define P_KEEP(p, n)                                                                               \
    {                                                                                              \
        n, p, kept_value, 0, 0                                                                     \
    }
#define P_BOOL(p, n)                                                                               \
    {                                                                                              \
        n, p, kept_bool, 0, 0                                                                      \
    }
#define P_NUM(p, n)                                                                                \
    {                                                                                              \
        n, p, kept_number, 0, 0                                                                    \
    }
#define P_TIME(p, n)                                                                               \
    {                                                                                              \
        n, p, kept_number, 0, 1                                                                    \
    }
#define P_BARE(p, n)                                                                               \
    {                                                                                              \
        n, p, kept_bare, 0, 0                                                                      \
    }
/* Name and the older spelling. */
#define TWO(a, b, read, m, arg)                                                                    \
    {a, NULL, read, F(m), arg},                                                                    \
    {                                                                                              \
        b, NULL, read, F(m), arg                                                                   \
    }
#define P_TWO(p, a, b, read, m, arg)                                                               \
    {a, p, read, F(m), arg},                                                                       \
    {                                                                                              \
        b, p, read, F(m), arg                                                                      \
    }

static const struct conf_directive table[] = {
    /* rules */
    {"header", NULL, conf_rule_header, 0, 0},
    {"body", NULL, conf_rule_body, 0, RULE_BODY},
    {"rawbody", NULL, conf_rule_body, 0, RULE_RAWBODY},
    {"full", NULL, conf_rule_body, 0, RULE_FULL},
    {"uri", NULL, conf_rule_body, 0, RULE_URI},
    {"meta", NULL, conf_rule_meta, 0, 0},
    {"mimeheader", "MIMEHeader", conf_rule_mimeheader, 0, 0},
    {"uri_detail", "URIDetail", conf_rule_uri_detail, 0, 0},
    {"askdns", "AskDNS", conf_rule_empty, 0, 0},
    {"reuse", NULL, conf_rule_empty, 0, 1},
    {"score", NULL, conf_score, 0, 0},
    {"describe", NULL, conf_describe, 0, 0},
    {"tflags", NULL, conf_tflags, 0, 0},
    {"priority", NULL, conf_priority, 0, 0},
    {"subjprefix", NULL, conf_subjprefix, 0, 0},
    KEEP("test"),
    KEEP("version_tag"),
    KEEP_BOOL("allow_user_rules"),
    {"replace_tag", "ReplaceTags", replace_text, 0, 0},
    {"replace_pre", "ReplaceTags", replace_text, 0, 1},
    {"replace_inter", "ReplaceTags", replace_text, 0, 2},
    {"replace_post", "ReplaceTags", replace_text, 0, 3},
    {"replace_rules", "ReplaceTags", replace_rules, 0, 0},
    {"replace_start", "ReplaceTags", replace_mark, 0, 0},
    {"replace_end", "ReplaceTags", replace_mark, 0, 1},
    {"redirector_pattern", NULL, conf_redirector, 0, 0},
    /* scores and lists */
    DOUBLE("required_score", required_score),
    DOUBLE("required_hits", required_score),
    TWO("welcomelist_from", "whitelist_from", conf_globs, lists.welcome_from, 0),
    TWO("unwelcomelist_from", "unwhitelist_from", conf_globs_drop, lists.welcome_from, 0),
    TWO("blocklist_from", "blacklist_from", conf_globs, lists.block_from, 0),
    TWO("unblocklist_from", "unblacklist_from", conf_globs_drop, lists.block_from, 0),
    TWO("welcomelist_to", "whitelist_to", conf_globs, lists.welcome_to, 0),
    TWO("blocklist_to", "blacklist_to", conf_globs, lists.block_to, 0),
    {"more_spam_to", NULL, conf_globs, F(lists.more_spam_to), 0},
    {"all_spam_to", NULL, conf_globs, F(lists.all_spam_to), 0},
    TWO("welcomelist_from_rcvd", "whitelist_from_rcvd", conf_globs_pair,
        lists.welcome_from_rcvd[LIST_OWN], 0),
    TWO("def_welcomelist_from_rcvd", "def_whitelist_from_rcvd", conf_globs_pair,
        lists.welcome_from_rcvd[LIST_DEF], 0),
    TWO("unwelcomelist_from_rcvd", "unwhitelist_from_rcvd", conf_globs_pair_drop,
        lists.welcome_from_rcvd[LIST_OWN], 0),
    TWO("welcomelist_allows_relays", "whitelist_allows_relays", conf_globs, lists.allows_relays, 0),
    TWO("welcomelist_auth", "whitelist_auth", conf_globs, lists.welcome_auth[LIST_OWN], 0),
    TWO("def_welcomelist_auth", "def_whitelist_auth", conf_globs, lists.welcome_auth[LIST_DEF], 0),
    TWO("unwelcomelist_auth", "unwhitelist_auth", conf_globs_drop, lists.welcome_auth[LIST_OWN], 0),
    P_TWO("DKIM", "welcomelist_from_dkim", "whitelist_from_dkim", conf_globs_pair,
          lists.welcome_from_dkim[LIST_OWN], 1),
    P_TWO("DKIM", "def_welcomelist_from_dkim", "def_whitelist_from_dkim", conf_globs_pair,
          lists.welcome_from_dkim[LIST_DEF], 1),
    P_TWO("DKIM", "unwelcomelist_from_dkim", "unwhitelist_from_dkim", conf_globs_pair_drop,
          lists.welcome_from_dkim[LIST_OWN], 0),
    P_TWO("SPF", "welcomelist_from_spf", "whitelist_from_spf", conf_globs,
          lists.welcome_from_spf[LIST_OWN], 0),
    P_TWO("SPF", "def_welcomelist_from_spf", "def_whitelist_from_spf", conf_globs,
          lists.welcome_from_spf[LIST_DEF], 0),
    P_TWO("SPF", "unwelcomelist_from_spf", "unwhitelist_from_spf", conf_globs_drop,
          lists.welcome_from_spf[LIST_OWN], 0),
    P_TWO("WelcomeListSubject", "welcomelist_subject", "whitelist_subject", conf_globs,
          lists.welcome_subject, 0),
    P_TWO("WelcomeListSubject", "blocklist_subject", "blacklist_subject", conf_globs,
          lists.block_subject, 0),
    P_TWO("VBounce", "welcomelist_bounce_relays", "whitelist_bounce_relays", conf_globs,
          lists.bounce_relays, 0),
    {"enlist_addrlist", NULL, conf_addrlist, 0, 0},
    {"enlist_uri_host", NULL, conf_uri_host, 0, 0},
    {"blocklist_uri_host", NULL, conf_uri_host, 0, 1},
    {"blacklist_uri_host", NULL, conf_uri_host, 0, 1},
    {"welcomelist_uri_host", NULL, conf_uri_host, 0, 2},
    {"whitelist_uri_host", NULL, conf_uri_host, 0, 2},
    {"delist_uri_host", NULL, conf_uri_host, 0, 3},
    {"freemail_domains", "FreeMail", conf_freemail_domains, 0, 0},
    {"freemail_welcomelist", "FreeMail", conf_freemail_welcome, 0, 0},
    {"freemail_whitelist", "FreeMail", conf_freemail_welcome, 0, 0},
    {"freemail_max_body_emails", "FreeMail", read_whole, F(freemail.max_body_emails), 4},
    {"freemail_max_body_freemails", "FreeMail", read_whole, F(freemail.max_body_freemails), 4},
    {"freemail_skip_when_over_max", "FreeMail", read_bool, F(freemail.skip_when_over_max), 0},
    {"freemail_skip_bulk_envfrom", "FreeMail", read_bool, F(freemail.skip_bulk_envfrom), 0},
    {"freemail_import_welcomelist_auth", "FreeMail", read_bool, F(freemail.import_welcome_auth), 0},
    {"freemail_import_whitelist_auth", "FreeMail", read_bool, F(freemail.import_welcome_auth), 0},
    {"freemail_import_def_welcomelist_auth", "FreeMail", read_bool,
     F(freemail.import_def_welcome_auth), 0},
    {"freemail_import_def_whitelist_auth", "FreeMail", read_bool,
     F(freemail.import_def_welcome_auth), 0},
    P_BOOL("FreeMail", "freemail_add_describe_email"),
    {"util_rb_tld", NULL, conf_tlds, F(uri.tld), 0},
    {"util_rb_2tld", NULL, conf_tlds, F(uri.two_level), 0},
    {"util_rb_3tld", NULL, conf_tlds, F(uri.three_level), 0},
    {"clear_util_rb", NULL, conf_tlds_clear, 0, 0},
    /* networks and headers */
    {"trusted_networks", NULL, conf_networks, 0, 0},
    {"internal_networks", NULL, conf_networks, 0, 1},
    {"msa_networks", NULL, conf_networks, 0, 2},
    {"clear_trusted_networks", NULL, conf_networks, 0, 8},
    {"clear_internal_networks", NULL, conf_networks, 0, 9},
    {"clear_msa_networks", NULL, conf_networks, 0, 10},
    {"originating_ip_headers", NULL, conf_originating, 0, 0},
    {"clear_originating_ip_headers", NULL, conf_originating, 0, 1},
    BOOL("always_trust_envelope_sender", always_trust_envelope_sender),
    STRING("envelope_sender_header", envelope_sender_header),
    STRING("ok_locales", ok_locales),
    BOOL("normalize_charset", normalize_charset),
    BOOL("parse_dkim_uris", parse_dkim_uris),
    WHOLE("body_part_scan_size", body_part_scan_size),
    WHOLE("rawbody_part_scan_size", rawbody_part_scan_size),
    TIME("time_limit", time_limit),
    /* report */
    {"report", NULL, conf_template, F(report.report), 0},
    {"unsafe_report", NULL, conf_template, F(report.unsafe_report), 0},
    {"clear_report_template", NULL, conf_template_clear, F(report.report), 0},
    {"clear_unsafe_report_template", NULL, conf_template_clear, F(report.unsafe_report), 0},
    {"add_header", NULL, conf_add_header, 0, 0},
    {"remove_header", NULL, conf_remove_header, 0, 0},
    {"clear_headers", NULL, conf_clear_headers, 0, 0},
    {"rewrite_header", NULL, conf_rewrite, 0, 0},
    {"report_safe", NULL, conf_report_safe, F(report.report_safe), 0},
    WHOLE("report_wrap_width", report.wrap_width),
    STRING("report_contact", report.contact),
    STRING("report_hostname", report.hostname),
    STRING("report_charset", report.charset),
    BOOL("fold_headers", report.fold_headers),
    {"report_safe_copy_headers", NULL, conf_safe_copy, 0, 0},
    /* Bayes */
    BOOL("use_learner", bayes.use_learner),
    BOOL("use_bayes", bayes.use_bayes),
    BOOL("use_bayes_rules", bayes.use_rules),
    BOOL("bayes_auto_learn", bayes.auto_learn),
    {"bayes_auto_learn_threshold_nonspam", "AutoLearnThreshold", read_double,
     F(bayes.threshold_nonspam), 0},
    {"bayes_auto_learn_threshold_spam", "AutoLearnThreshold", read_double, F(bayes.threshold_spam),
     0},
    P_BOOL("AutoLearnThreshold", "bayes_auto_learn_on_error"),
    {"bayes_ignore_header", NULL, conf_ignore_header, 0, 0},
    {"bayes_ignore_from", NULL, conf_globs, F(bayes.ignore_from), 0},
    {"bayes_ignore_to", NULL, conf_globs, F(bayes.ignore_to), 0},
    WHOLE("bayes_min_ham_num", bayes.min_ham),
    WHOLE("bayes_min_spam_num", bayes.min_spam),
    {"bayes_max_token_length", "Bayes", read_whole, F(bayes.max_token_length), 4},
    {"bayes_stopword_languages", "Bayes", read_string, F(bayes.stopword_languages), 0},
    STRING("bayes_path", bayes.path),
    KEEP("bayes_token_sources"),
    KEEP_BOOL("bayes_learn_during_report"),
    KEEP_BARE("bayes_sql_override_username"),
    KEEP_BOOL("bayes_use_hapaxes"),
    KEEP_NUM("bayes_journal_max_size"),
    KEEP_NUM("bayes_expiry_max_db_size"),
    KEEP_BOOL("bayes_auto_expire"),
    KEEP_TIME("bayes_token_ttl"),
    KEEP_TIME("bayes_seen_ttl"),
    KEEP_BOOL("bayes_learn_to_journal"),
    KEEP_NUM("bayes_file_mode"),
    KEEP("bayes_store_module"),
    KEEP("bayes_sql_dsn"),
    KEEP("bayes_sql_username"),
    KEEP("bayes_sql_password"),
    KEEP_BOOL("bayes_sql_username_authorized"),
    /* network tests */
    KEEP_BOOL("skip_rbl_checks"),
    KEEP("dns_available"),
    KEEP("dns_server"),
    KEEP_BARE("clear_dns_servers"),
    KEEP("dns_local_ports_permit"),
    KEEP("dns_local_ports_avoid"),
    KEEP_BARE("dns_local_ports_none"),
    KEEP_TIME("dns_test_interval"),
    KEEP("dns_options"),
    KEEP("dns_query_restriction"),
    KEEP_BARE("clear_dns_query_restriction"),
    KEEP_BARE("clear_dns_query_restrictions"),
    KEEP("dns_block_rule"),
    KEEP_NUM("dns_block_time"),
    KEEP("rbl_timeout"),
    P_KEEP("DNSEval", "rbl_headers"),
    P_BOOL("URIDNSBL", "skip_uribl_checks"),
    P_BOOL("URIDNSBL", "uridnsbl_skip_mailto"),
    P_NUM("URIDNSBL", "uridnsbl_max_domains"),
    P_KEEP("URIDNSBL", "uridnsbl"),
    P_KEEP("URIDNSBL", "uridnssub"),
    P_KEEP("URIDNSBL", "urirhsbl"),
    P_KEEP("URIDNSBL", "urirhssub"),
    P_KEEP("URIDNSBL", "urinsrhsbl"),
    P_KEEP("URIDNSBL", "urinsrhssub"),
    P_KEEP("URIDNSBL", "urifullnsrhsbl"),
    P_KEEP("URIDNSBL", "urifullnsrhssub"),
    P_KEEP("URIDNSBL", "uridnsbl_skip_domain"),
    P_BARE("URIDNSBL", "clear_uridnsbl_skip_domain"),
    P_TIME("URIDNSBL", "uridnsbl_timeout"),
    P_KEEP("DKIM", "adsp_override"),
    P_NUM("DKIM", "dkim_minimum_key_bits"),
    P_TIME("DKIM", "dkim_timeout"),
    P_BOOL("DMARC", "dmarc_save_reports"),
    P_TIME("SPF", "spf_timeout"),
    P_BOOL("SPF", "ignore_received_spf_header"),
    P_BOOL("SPF", "use_newest_received_spf_header"),
    P_BOOL("SPF", "do_not_use_mail_spf"),
    P_BOOL("SPF", "do_not_use_mail_spf_query"),
    P_KEEP("HashBL", "hashbl_ignore"),
    P_KEEP("HashBL", "hashbl_email_domain_alias"),
    P_KEEP("HashBL", "hashbl_email_regex"),
    P_KEEP("HashBL", "hashbl_email_welcomelist"),
    P_KEEP("HashBL", "hashbl_email_whitelist"),
    P_BOOL("Pyzor", "use_pyzor"),
    P_NUM("Pyzor", "pyzor_count_min"),
    P_NUM("Pyzor", "pyzor_max"),
    P_NUM("Pyzor", "pyzor_welcomelist_min"),
    P_NUM("Pyzor", "pyzor_welcomelist_factor"),
    P_NUM("Pyzor", "pyzor_whitelist_min"),
    P_NUM("Pyzor", "pyzor_whitelist_factor"),
    P_NUM("Pyzor", "pyzor_fork"),
    P_KEEP("Pyzor", "pyzor_perl"),
    P_TIME("Pyzor", "pyzor_timeout"),
    P_KEEP("Pyzor", "pyzor_options"),
    P_KEEP("Pyzor", "pyzor_path"),
    P_KEEP("Pyzor", "pyzor_server_file"),
    P_BOOL("Razor2", "use_razor2"),
    P_NUM("Razor2", "razor_fork"),
    P_TIME("Razor2", "razor_timeout"),
    P_KEEP("Razor2", "razor_config"),
    P_KEEP("SpamCop", "spamcop_from_address"),
    P_KEEP("SpamCop", "spamcop_to_address"),
    P_NUM("SpamCop", "spamcop_max_report_size"),
    P_KEEP("SpamCop", "spamcop_relayhost"),
    /* plugins that are not loaded by default */
    {"asn_lookup", "ASN", kept_asn, 0, '4'},
    {"asn_lookup_ipv6", "ASN", kept_asn, 0, '6'},
    {"clear_asn_lookups", "ASN", kept_asn, 0, '-'},
    P_KEEP("ASN", "asn_prefix"),
    P_BOOL("ASN", "asn_use_geodb"),
    P_BOOL("ASN", "asn_prefer_geodb"),
    P_BOOL("ASN", "asn_use_dns"),
    P_BOOL("AWL", "use_auto_welcomelist"),
    P_BOOL("AWL", "use_auto_whitelist"),
    P_NUM("AWL", "auto_welcomelist_factor"),
    P_NUM("AWL", "auto_whitelist_factor"),
    P_KEEP("AWL", "auto_welcomelist_path"),
    P_KEEP("AWL", "auto_whitelist_path"),
    P_KEEP("AuthRes", "authres_networks"),
    P_KEEP("AuthRes", "authres_trusted_authserv"),
    P_KEEP("AuthRes", "authres_ignored_authserv"),
    P_BOOL("DCC", "use_dcc"),
    P_BOOL("DCC", "use_dcc_rep"),
    P_NUM("DCC", "dcc_body_max"),
    P_NUM("DCC", "dcc_fuz1_max"),
    P_NUM("DCC", "dcc_fuz2_max"),
    P_NUM("DCC", "dcc_rep_percent"),
    P_TIME("DCC", "dcc_timeout"),
    P_KEEP("DCC", "dcc_home"),
    P_KEEP("DCC", "dcc_dccifd_path"),
    P_KEEP("DCC", "dcc_path"),
    P_KEEP("DCC", "dcc_options"),
    P_KEEP("DCC", "dccifd_options"),
    P_NUM("DCC", "dcc_learn_score"),
    {"url_shortener", "DecodeShortURLs", kept_shortener, 0, 0},
    {"url_shortener_get", "DecodeShortURLs", kept_shortener, 0, 0},
    {"clear_url_shortener", "DecodeShortURLs", kept_shortener, 0, 1},
    P_KEEP("DecodeShortURLs", "url_shortener_cache_type"),
    P_KEEP("DecodeShortURLs", "url_shortener_cache_dsn"),
    P_KEEP("DecodeShortURLs", "url_shortener_cache_username"),
    P_KEEP("DecodeShortURLs", "url_shortener_cache_password"),
    P_NUM("DecodeShortURLs", "url_shortener_cache_ttl"),
    P_NUM("DecodeShortURLs", "url_shortener_cache_autoclean"),
    P_BOOL("DecodeShortURLs", "url_shortener_loginfo"),
    P_TIME("DecodeShortURLs", "url_shortener_timeout"),
    P_NUM("DecodeShortURLs", "max_short_urls"),
    P_NUM("DecodeShortURLs", "max_short_url_redirections"),
    P_KEEP("DecodeShortURLs", "url_shortener_user_agent"),
    P_KEEP("ExtractText", "extracttext_external"),
    P_KEEP("ExtractText", "extracttext_use"),
    P_NUM("ExtractText", "extracttext_maxparts"),
    P_TIME("ExtractText", "extracttext_timeout"),
    {"fns_add_addrlist", "FromNameSpoof", conf_fns_addrlist, 0, 0},
    {"fns_remove_addrlist", "FromNameSpoof", conf_fns_addrlist, 0, 1},
    P_NUM("FromNameSpoof", "fns_extrachars"),
    P_KEEP("FromNameSpoof", "fns_ignore_dkim"),
    P_KEEP("FromNameSpoof", "fns_ignore_headers"),
    {"fns_check", "FromNameSpoof", kept_digit, 0, 2},
    P_NUM("OLEVBMacro", "olemacro_num_mime"),
    P_NUM("OLEVBMacro", "olemacro_num_zip"),
    P_NUM("OLEVBMacro", "olemacro_zip_depth"),
    P_BOOL("OLEVBMacro", "olemacro_extended_scan"),
    P_BOOL("OLEVBMacro", "olemacro_prefer_contentdisposition"),
    P_NUM("OLEVBMacro", "olemacro_max_file"),
    P_KEEP("OLEVBMacro", "olemacro_exts"),
    P_KEEP("OLEVBMacro", "olemacro_macro_exts"),
    P_KEEP("OLEVBMacro", "olemacro_skip_exts"),
    P_KEEP("OLEVBMacro", "olemacro_skip_ctypes"),
    P_KEEP("OLEVBMacro", "olemacro_zips"),
    P_KEEP("OLEVBMacro", "olemacro_download_marker"),
    P_KEEP("PhishTag", "trigger_target"),
    P_KEEP("PhishTag", "trigger_config"),
    P_NUM("PhishTag", "trigger_ratio"),
    P_KEEP("Phishing", "phishing_openphish_feed"),
    P_KEEP("Phishing", "phishing_phishtank_feed"),
    P_KEEP("Phishing", "phishing_phishstats_feed"),
    P_NUM("Phishing", "phishing_phishstats_minscore"),
    P_BOOL("Phishing", "phishing_uri_noparam"),
    P_BOOL("Reuse", "run_reuse_tests_only"),
    {"shortcircuit", "Shortcircuit", conf_shortcircuit, 0, 0},
    P_NUM("Shortcircuit", "shortcircuit_spam_score"),
    P_NUM("Shortcircuit", "shortcircuit_ham_score"),
    P_NUM("Shortcircuit", "shortcircuit_min_ham_score"),
    P_NUM("Shortcircuit", "shortcircuit_max_spam_score"),
    {"ok_languages", "TextCat", read_string, F(ok_languages), 0},
    P_KEEP("TextCat", "inactive_languages"),
    P_NUM("TextCat", "textcat_max_languages"),
    P_NUM("TextCat", "textcat_optimal_ngrams"),
    P_NUM("TextCat", "textcat_max_ngrams"),
    P_NUM("TextCat", "textcat_acceptable_score"),
    P_BOOL("TxRep", "use_txrep"),
    {"uri_block_cc", "URILocalBL", conf_uri_block, 0, 0},
    {"uri_block_cont", "URILocalBL", conf_uri_block, 0, 0},
    {"uri_block_isp", "URILocalBL", conf_uri_block, 0, 0},
    {"uri_block_cidr", "URILocalBL", conf_uri_block, 0, 0},
    {"uri_block_exclude", "URILocalBL", conf_uri_block, 0, 0},
    /* the program */
    {"loadplugin", NULL, load_plugin, 0, 0},
    {"tryplugin", NULL, load_plugin, 0, 1},
    {"enable_compat", NULL, enable_compat, 0, 0},
    KEEP_BOOL("ignore_always_matching_regexps"),
    KEEP("lock_method"),
    KEEP("mbox_format_from_regex"),
    KEEP("user_scores_dsn"),
    KEEP("user_scores_sql_username"),
    KEEP("user_scores_sql_password"),
    KEEP("user_scores_sql_custom_query"),
    KEEP("user_scores_ldap_username"),
    KEEP("user_scores_ldap_password"),
    KEEP_BOOL("user_scores_fallback_to_global"),
    KEEP("geodb_module"),
    KEEP("geodb_options"),
    KEEP("geodb_search_path"),
    KEEP("country_db_type"),
    KEEP("country_db_path"),
    KEEP("uri_country_db_path"),
    KEEP("uri_country_db_isp_path"),
};

static bool plugin_here(const struct conf *c, const struct conf_directive *d)
{
    return !d->plugin || conf_plugin(c, d->plugin);
}

/* Directives whose name has a part of its own. */
static const struct conf_directive *by_prefix(const struct conf *c, struct span key)
{
    static const struct conf_directive prefixes[] = {
        {"bayes_stopword_", "Bayes", conf_stopword, 0, 0},
        {"hashbl_acl_", "HashBL", kept_value, 0, 0},
        {"txrep_", "TxRep", kept_bare, 0, 0},
        {"auto_welcomelist_", "AWL", kept_bare, 0, 0},
        {"auto_whitelist_", "AWL", kept_bare, 0, 0},
        {"user_awl_", "AWL", kept_bare, 0, 0},
    };
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (span_starts(key, span_str(prefixes[i].name)) && plugin_here(c, &prefixes[i])) {
            struct conf_directive *d = ARENA_NEW(c->arena, struct conf_directive);
            *d = prefixes[i];
            d->name = arena_cstr(c->arena, key);
            return d;
        }
    return NULL;
}

const struct conf_directive *conf_directive(const struct conf *c, struct span key)
{
    struct map *known = &c->state->directives;
    if (known->n == 0) {
        *known = map_in(c->arena);
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
            *map_at(known, span_str(table[i].name)) = (void *)(uintptr_t)&table[i];
    }
    const struct conf_directive *d = map_get(known, key);
    if (d)
        return plugin_here(c, d) ? d : NULL;
    return by_prefix(c, key);
}

const char *conf_directive_near(struct span key, const char **plugin)
{
    enum { N = sizeof table / sizeof *table };
    const char *names[N];
    for (size_t i = 0; i < N; i++) {
        names[i] = table[i].name;
        if (span_eq(key, span_str(names[i])))
            *plugin = table[i].plugin;
    }
    return *plugin ? NULL : nearest(key, names, N);
}

/* Conditionals of rule files (semantics 2.3). */
#include "rules/conf_private.h"
#include "rules/eval.h"
#include "rules/meta.h"

#include "base/buf.h"

#define PLUGIN "Mail::SpamAssassin::Plugin::"
#define CONF   "Mail::SpamAssassin::Conf::"

/* What 4.0.1 answers to can() and has(). */
static const char *const features[] = {
    CONF "feature_originating_ip_headers",
    CONF "feature_dns_local_ports_permit_avoid",
    CONF "feature_bayes_auto_learn_on_error",
    CONF "feature_uri_host_listed",
    CONF "feature_yesno_takes_args",
    CONF "feature_bug6558_free",
    CONF "feature_edns",
    CONF "feature_dns_query_restriction",
    CONF "feature_registryboundaries",
    CONF "feature_geodb",
    CONF "feature_dns_block_rule",
    CONF "feature_compile_regexp",
    CONF "feature_meta_rules_matching",
    CONF "feature_subjprefix",
    CONF "feature_bayes_stopwords",
    CONF "feature_get_host",
    CONF "feature_blocklist_welcomelist",
    CONF "feature_welcomelist_blocklist",
    CONF "feature_header_address_parser",
    CONF "feature_local_tests_only",
    CONF "feature_header_first_last",
    CONF "feature_header_match_many",
    CONF "feature_capture_rules",
    CONF "has_tflags_nosubject",
    CONF "has_tflags_nolog",
    CONF "perl_min_version_5010000",
    PLUGIN "ASN::has_asn_lookup_ipv6",
    PLUGIN "ASN::has_asn_geodb",
    PLUGIN "ASN::has_check_asn",
    PLUGIN "ASN::has_check_asn_tag",
    PLUGIN "AskDNS::has_tag_header",
    PLUGIN "BodyEval::has_check_body_length",
    PLUGIN "BodyEval::has_plaintext_body_sig_ratio",
    PLUGIN "DKIM::has_arc",
    PLUGIN "DNSEval::has_tflags_domains_only",
    PLUGIN "DNSEval::has_tflags_ips_only",
    PLUGIN "DecodeShortURLs::has_short_url",
    PLUGIN "DecodeShortURLs::has_autoclean",
    PLUGIN "DecodeShortURLs::has_short_url_code",
    PLUGIN "DecodeShortURLs::has_user_agent",
    PLUGIN "DecodeShortURLs::has_get",
    PLUGIN "DecodeShortURLs::has_clear",
    PLUGIN "DecodeShortURLs::has_timeout",
    PLUGIN "DecodeShortURLs::has_max_redirections",
    PLUGIN "DecodeShortURLs::has_short_url_redir",
    PLUGIN "HashBL::has_hashbl_bodyre",
    PLUGIN "HashBL::has_hashbl_bodyre_num",
    PLUGIN "HashBL::has_hashbl_emails",
    PLUGIN "HashBL::has_hashbl_uris",
    PLUGIN "HashBL::has_hashbl_ignore",
    PLUGIN "HashBL::has_hashbl_email_regex",
    PLUGIN "HashBL::has_hashbl_email_welcomelist",
    PLUGIN "HashBL::has_hashbl_email_whitelist",
    PLUGIN "HashBL::has_hashbl_tag",
    PLUGIN "HashBL::has_hashbl_sha256",
    PLUGIN "HashBL::has_hashbl_attachments",
    PLUGIN "HashBL::has_hashbl_email_domain",
    PLUGIN "HashBL::has_hashbl_email_domain_alias",
    PLUGIN "MIMEEval::has_check_for_ascii_text_illegal",
    PLUGIN "MIMEEval::has_check_abundant_unicode_ratio",
    PLUGIN "MIMEEval::has_check_qp_ratio",
    PLUGIN "MIMEHeader::has_all_header",
    PLUGIN "MIMEHeader::has_tflags_range",
    PLUGIN "MIMEHeader::has_tflags_concat",
    PLUGIN "MIMEHeader::has_tflags_multiple",
    PLUGIN "MIMEHeader::has_capture_rules",
    PLUGIN "OLEVBMacro::has_olemacro_redirect_uri",
    PLUGIN "OLEVBMacro::has_olemacro_mhtml_uri",
    PLUGIN "OLEVBMacro::has_olertfobject",
    PLUGIN "Pyzor::has_fork",
    PLUGIN "Pyzor::has_perl",
    PLUGIN "Razor2::has_fork",
    PLUGIN "SPF::has_check_for_spf_errors",
    PLUGIN "SPF::has_check_spf_skipped_noenvfrom",
    PLUGIN "URIDNSBL::has_tflags_domains_only",
    PLUGIN "URIDNSBL::has_subtest_for_ranges",
    PLUGIN "URIDNSBL::has_uridnsbl_for_a",
    PLUGIN "URIDNSBL::has_uridnsbl_a_ns",
    PLUGIN "URIDNSBL::has_tflags_notrim",
    PLUGIN "URIDNSBL::has_uridnsbl_skip_mailto",
    PLUGIN "URIDetail::has_host_key",
};

/* A plugin's eval functions are methods of its package, so they are features as well. */
static bool eval_of_plugin(struct span name)
{
    struct span rest = span_from(name, sizeof PLUGIN - 1);
    size_t colon = span_rfind(rest, ':');
    if (!span_starts(name, SPAN(PLUGIN)) || colon == SIZE_MAX || colon == 0)
        return false;
    const struct eval_fn_def *d = eval_find(span_from(rest, colon + 1));
    return d && d->plugin && span_eq(span_str(d->plugin), span_sub(rest, 0, colon - 1));
}

static bool feature_known(struct conf *c, struct span name)
{
    if (span_starts(name, SPAN(CONF "compat_")))
        return map_get(&conf_state(c)->compat, span_from(name, sizeof CONF "compat_" - 1)) != NULL;
    if (span_starts(name, SPAN(PLUGIN))) {
        size_t end = span_rfind(name, ':');
        if (end == SIZE_MAX || end < sizeof PLUGIN ||
            !map_get(&c->plugins, span_sub(name, 0, end - 1)))
            return false;
    }
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        if (span_eq(name, span_str(features[i])))
            return true;
    return eval_of_plugin(name);
}

static bool plugin_loaded(struct conf *c, struct span name)
{
    if (span_eq(name, SPAN(PLUGIN "Dmarc")))
        name = SPAN(PLUGIN "DMARC");
    if (span_eq(name, SPAN(PLUGIN "WhiteListSubject")))
        name = SPAN(PLUGIN "WelcomeListSubject");
    return span_eq(name, SPAN(PLUGIN "RaciallyCharged")) || map_get(&c->plugins, name);
}

/* "plugin (X)", "can(X)", "has(X)" at the start of *rest: its value; -1 when it is none of them. */
static int call(struct conf_parser *p, struct span *rest)
{
    static const char *const names[] = {"plugin", "can", "has"};
    for (size_t i = 0; i < 3; i++) {
        struct span s = *rest;
        size_t n = strlen(names[i]);
        if (!span_starts(s, span_str(names[i])) ||
            (s.n > n && (ascii_isalnum(s.p[n]) || s.p[n] == '_' || s.p[n] == ':')))
            continue;
        s = span_from(s, n);
        size_t open = span_find(s, '('), close = span_find(s, ')');
        if (open == SIZE_MAX || close == SIZE_MAX || close < open ||
            span_trim(span_sub(s, 0, open)).n)
            return -1;
        struct span arg = span_trim(span_sub(s, open + 1, close));
        *rest = span_from(s, close + 1);
        if (i == 0)
            return plugin_loaded(p->c, arg);
        if (i == 1 && p->at.file && span_ends(span_str(p->at.file), SPAN("user_prefs")))
            return 0;
        return feature_known(p->c, arg);
    }
    return -1;
}

/* The condition with every call and constant replaced by its number, for meta_compile. */
static struct span with_numbers(struct conf_parser *p, struct span text)
{
    struct buf b = {0};
    char last = ' ';
    while (text.n) {
        bool word_start = !ascii_isalnum(last) && last != '_' && last != ':';
        int value = word_start ? call(p, &text) : -1;
        if (value >= 0) {
            buf_str(&b, value ? " 1 " : " 0 ");
            last = ' ';
        } else if (word_start && span_starts(text, SPAN("version"))) {
            buf_str(&b, " 4.000001 ");
            text = span_from(text, 7);
        } else if (word_start && span_starts(text, SPAN("perl_version"))) {
            buf_str(&b, " 5.036000 ");
            text = span_from(text, 12);
        } else {
            last = text.p[0];
            buf_char(&b, last);
            text = span_from(text, 1);
        }
    }
    struct span out = arena_dup(p->c->arena, buf_span(&b));
    buf_free(&b);
    return out;
}

static double no_value(void *ctx, uint32_t index)
{
    (void)ctx, (void)index;
    return 0;
}

static int evaluate(struct conf_parser *p, struct span text, struct err *e)
{
    struct meta m;
    if (meta_compile(p->c->arena, with_numbers(p, text), conf_state(p->c)->local_only, &m, e) != 0)
        return -1;
    if (m.nnames)
        return err_set(e, "unknown word '%.*s'", SPAN_ARG(m.names[0]));
    bool division = false;
    return meta_eval(&m, no_value, NULL, &division) != 0;
}

/* Answers are kept by the exact text, as SpamAssassin keeps them: a plugin loaded between two equal
 * tests goes unnoticed. A condition that makes no sense is not opened: its endif closes an outer
 * one. */
static void open_if(struct conf_parser *p, struct span key, struct span text)
{
    struct conf_state *st = conf_state(p->c);
    struct span id = arena_printf(p->c->arena, "%.*s %.*s", SPAN_ARG(key), SPAN_ARG(text));
    intptr_t known = (intptr_t)map_get(&st->conditions, id);
    if (!known) {
        struct err e;
        int value = evaluate(p, text, &e);
        if (value < 0) {
            conf_problem(p->c, p->at, "condition not understood: %s", e.text);
            return;
        }
        known = value ? 1 : 2;
        *map_at(&st->conditions, id) = (void *)known;
    }
    if (p->nifs == IF_DEPTH) {
        conf_problem(p->c, p->at, "conditions nested more than %d deep", IF_DEPTH);
        return;
    }
    p->ifs[p->nifs++] = (struct conf_if){p->skip, p->at.line};
    if (known == 2)
        p->skip = true;
}

static void else_branch(struct conf_parser *p)
{
    for (size_t i = 0; i < p->nifs; i++)
        if (p->ifs[i].outer_skip) {
            p->skip = true;
            return;
        }
    p->skip = !p->skip;
}

bool conf_conditional(struct conf_parser *p, struct span key, struct span value)
{
    if (span_eq(key, SPAN("endif")) || span_eq(key, SPAN("else"))) {
        bool end = key.p[1] == 'n';
        if (value.n)
            conf_problem(p->c, p->at, "'%.*s' must stand alone", SPAN_ARG(key));
        else if (p->nifs == 0)
            conf_problem(p->c, p->at, "'%.*s' without 'if'", SPAN_ARG(key));
        else if (end)
            p->skip = p->ifs[--p->nifs].outer_skip;
        else
            else_branch(p);
        return true;
    }
    bool plugin = span_eq(key, SPAN("ifplugin"));
    if (!plugin && !span_eq(key, SPAN("if")))
        return false;
    if (!value.n)
        conf_problem(p->c, p->at, "'%.*s' needs a condition", SPAN_ARG(key));
    else if (plugin)
        open_if(p, key, arena_printf(p->c->arena, "plugin (%.*s)", SPAN_ARG(value)));
    else
        open_if(p, key, value);
    return true;
}

void conf_unclosed(struct conf_parser *p)
{
    for (size_t i = 0; i < p->nifs; i++)
        conf_problem(p->c, (struct conf_at){p->at.file, p->ifs[i].line}, "'if' is never closed");
    p->nifs = 0;
    p->skip = false;
}

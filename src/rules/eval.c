/* Eval functions by name, and their arguments. */
#include "rules/eval.h"

#include <stdlib.h>

static const struct eval_fn_def *const tables[] = {
    eval_html,     eval_mime,         eval_body,     eval_image,    eval_uri,    eval_bounce,
    eval_freemail, eval_header,       eval_date,     eval_forged,   eval_relay,  eval_list,
    eval_bayes,    eval_antivirus,    eval_shorturl, eval_phishing, eval_access, eval_fromname,
    eval_pdf,      eval_shortcircuit, eval_language, eval_office,   eval_dns,    eval_uridnsbl,
    eval_askdns,   eval_hashbl,       eval_auth,     eval_txrep,    eval_geo,    eval_virus,
    eval_hashcash, eval_digests,
};

/* Names that SpamAssassin 4 keeps for older rule files. */
static const struct {
    const char *old, *name;
} aliases[] = {
    {"check_from_in_blacklist", "check_from_in_blocklist"},
    {"check_to_in_blacklist", "check_to_in_blocklist"},
    {"check_to_in_whitelist", "check_to_in_welcomelist"},
    {"check_from_in_whitelist", "check_from_in_welcomelist"},
    {"check_forged_in_whitelist", "check_forged_in_welcomelist"},
    {"check_from_in_default_whitelist", "check_from_in_default_welcomelist"},
    {"check_forged_in_default_whitelist", "check_forged_in_default_welcomelist"},
    {"check_uri_host_in_blacklist", "check_uri_host_in_blocklist"},
    {"check_uri_host_in_whitelist", "check_uri_host_in_welcomelist"},
    {"check_subject_in_whitelist", "check_subject_in_welcomelist"},
    {"check_subject_in_blacklist", "check_subject_in_blocklist"},
    {"check_whitelist_bounce_relays", "check_welcomelist_bounce_relays"},
    {"check_for_spf_whitelist_from", "check_for_spf_welcomelist_from"},
    {"check_for_def_spf_whitelist_from", "check_for_def_spf_welcomelist_from"},
    {"check_for_dkim_whitelist_from", "check_for_dkim_welcomelist_from"},
    {"check_for_def_dkim_whitelist_from", "check_for_def_dkim_welcomelist_from"},
};

const struct eval_fn_def *eval_find(struct span name)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (span_eq(name, span_str(aliases[i].old)))
            name = span_str(aliases[i].name);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct eval_fn_def *d = tables[i]; d->name; d++)
            if (span_eq(name, span_str(d->name)))
                return d;
    return NULL;
}

struct span eval_arg(const struct eval_call *call, size_t i)
{
    return i < call->nargs ? call->args[i] : SPAN("");
}

double eval_number(const struct eval_call *call, size_t i, double dflt)
{
    if (i >= call->nargs)
        return dflt;
    if (call->numbers)
        return call->numbers[i];
    char text[64];
    struct span s = span_sub(call->args[i], 0, sizeof text - 1);
    memcpy(text, s.p ? s.p : "", s.n);
    text[s.n] = '\0';
    return strtod(text, NULL);
}

bool eval_open(const struct eval_call *call, size_t i)
{
    struct span s = eval_arg(call, i);
    return i >= call->nargs || span_eq(s, SPAN("undef")) || span_eq(s, SPAN("inf"));
}

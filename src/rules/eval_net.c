/* Functions that need DNS, another service or learned data (semantics 8.7). They are named here so
 * that coverage can tell them from unknown ones; without their data none of them hits, as in
 * SpamAssassin. */
#include "rules/eval.h"

static double no_data(struct rules_ctx *c, const struct eval_call *call)
{
    (void)c;
    (void)call;
    return 0;
}

#define NET(name, plugin)                                                                          \
    {                                                                                              \
        name, plugin, no_data, .net = true                                                         \
    }
#define LOCAL(name, plugin)                                                                        \
    {                                                                                              \
        name, plugin, no_data                                                                      \
    }
#define LEARN(name)                                                                                \
    {                                                                                              \
        name, "Bayes", no_data, .types = EVAL_BODIES, .learn = true                                \
    }

const struct eval_fn_def eval_net[] = {
    LEARN("check_bayes"),
    NET("check_pyzor", "Pyzor"),
    NET("check_razor2", "Razor2"),
    NET("check_razor2_range", "Razor2"),
    NET("check_dcc", "DCC"),
    NET("check_dcc_reputation_range", "DCC"),
    NET("check_for_spf_pass", "SPF"),
    NET("check_for_spf_neutral", "SPF"),
    NET("check_for_spf_none", "SPF"),
    NET("check_for_spf_fail", "SPF"),
    NET("check_for_spf_softfail", "SPF"),
    NET("check_for_spf_permerror", "SPF"),
    NET("check_for_spf_temperror", "SPF"),
    NET("check_for_spf_helo_pass", "SPF"),
    NET("check_for_spf_helo_neutral", "SPF"),
    NET("check_for_spf_helo_none", "SPF"),
    NET("check_for_spf_helo_fail", "SPF"),
    NET("check_for_spf_helo_softfail", "SPF"),
    NET("check_for_spf_helo_permerror", "SPF"),
    NET("check_for_spf_helo_temperror", "SPF"),
    NET("check_for_spf_welcomelist_from", "SPF"),
    NET("check_for_def_spf_welcomelist_from", "SPF"),
    NET("check_dkim_signed", "DKIM"),
    NET("check_dkim_valid", "DKIM"),
    NET("check_dkim_valid_author_sig", "DKIM"),
    NET("check_dkim_valid_envelopefrom", "DKIM"),
    NET("check_dkim_testing", "DKIM"),
    NET("check_dkim_signsome", "DKIM"),
    NET("check_dkim_signall", "DKIM"),
    NET("check_dkim_adsp", "DKIM"),
    NET("check_arc_signed", "DKIM"),
    NET("check_arc_valid", "DKIM"),
    NET("check_for_dkim_welcomelist_from", "DKIM"),
    NET("check_for_def_dkim_welcomelist_from", "DKIM"),
    /* not tagged net in the rule files: it runs, and is false where no signature was verified */
    LOCAL("check_dkim_dependable", "DKIM"),
    NET("check_dmarc_pass", "DMARC"),
    NET("check_dmarc_reject", "DMARC"),
    NET("check_dmarc_quarantine", "DMARC"),
    NET("check_dmarc_none", "DMARC"),
    NET("check_dmarc_missing", "DMARC"),
    {NULL},
};

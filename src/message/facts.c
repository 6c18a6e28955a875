#include "message/facts.h"

void facts_add(struct facts *f, struct arena *a, const char *name, struct span value)
{
    *ARENA_PUSH(a, f->facts, f->nfacts, f->facts_cap) =
        (struct fact){arena_strdup(a, name), arena_dup(a, value)};
}

void facts_skip(struct facts *f, struct arena *a, const char *check, struct span why)
{
    *ARENA_PUSH(a, f->skipped, f->nskipped, f->skipped_cap) =
        (struct skipped){arena_strdup(a, check), arena_dup(a, why)};
}

const char *spf_result_name(enum spf_result r)
{
    static const char *const names[] = {
        [SPF_NOT_RUN] = "none",        [SPF_NONE] = "none",           [SPF_NEUTRAL] = "neutral",
        [SPF_PASS] = "pass",           [SPF_FAIL] = "fail",           [SPF_SOFTFAIL] = "softfail",
        [SPF_TEMPERROR] = "temperror", [SPF_PERMERROR] = "permerror",
    };
    return names[r];
}

const char *dkim_result_name(enum dkim_result r)
{
    static const char *const names[] = {
        [DKIM_NONE] = "none",           [DKIM_PASS] = "pass",       [DKIM_FAIL] = "fail",
        [DKIM_POLICY] = "policy",       [DKIM_NEUTRAL] = "neutral", [DKIM_TEMPERROR] = "temperror",
        [DKIM_PERMERROR] = "permerror",
    };
    return names[r];
}

const char *arc_result_name(enum arc_result r)
{
    static const char *const names[] = {
        [ARC_NOT_RUN] = "none",
        [ARC_NONE] = "none",
        [ARC_PASS] = "pass",
        [ARC_FAIL] = "fail",
    };
    return names[r];
}

const char *dmarc_result_name(enum dmarc_result r)
{
    static const char *const names[] = {
        [DMARC_NOT_RUN] = "none", [DMARC_NONE] = "none",           [DMARC_PASS] = "pass",
        [DMARC_FAIL] = "fail",    [DMARC_TEMPERROR] = "temperror", [DMARC_PERMERROR] = "permerror",
    };
    return names[r];
}

const char *dmarc_policy_name(enum dmarc_policy p)
{
    static const char *const names[] = {
        [DMARC_POLICY_NONE] = "none",
        [DMARC_POLICY_QUARANTINE] = "quarantine",
        [DMARC_POLICY_REJECT] = "reject",
    };
    return names[p];
}

const struct spf_fact *spf_main(const struct auth_facts *f)
{
    return f->mailfrom.result != SPF_NOT_RUN ? &f->mailfrom : &f->helo;
}

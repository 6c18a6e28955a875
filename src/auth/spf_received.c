#include "auth/authres.h"
#include "auth/spf.h"

static const char *const comments[] = {
    [SPF_NOT_RUN] = "not checked",
    [SPF_NONE] = "no SPF record",
    [SPF_NEUTRAL] = "neither permitted nor denied",
    [SPF_PASS] = "permitted sender",
    [SPF_FAIL] = "not a permitted sender",
    [SPF_SOFTFAIL] = "probably not a permitted sender",
    [SPF_TEMPERROR] = "no answer from the DNS",
    [SPF_PERMERROR] = "the SPF record is not usable",
};

static void pair(struct buf *b, const char *key, struct span v, bool last)
{
    buf_printf(b, "\n\t%s=", key);
    authres_value(b, v);
    buf_str(b, last ? "" : ";");
}

struct span spf_received(struct arena *a, const struct spf_fact *f, const char *identity,
                         const struct ip *ip, struct span helo, const char *receiver)
{
    char text[IP_TEXT_SIZE];
    struct buf b = {0};
    bool error = f->result == SPF_TEMPERROR || f->result == SPF_PERMERROR;
    buf_printf(&b, "%s (%s: %s)", spf_result_name(f->result), receiver, comments[f->result]);
    pair(&b, "client-ip", span_str(ip_text(ip, text)), false);
    pair(&b, "envelope-from", f->sender, false);
    pair(&b, "helo", helo, false);
    pair(&b, "receiver", span_str(receiver), false);
    if (error && f->why.n)
        pair(&b, "problem", f->why, false);
    if (f->mechanism.n)
        pair(&b, "mechanism", f->mechanism, false);
    pair(&b, "identity", span_str(identity), true);
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

/* What the gateway's virus engine found, as rules know it from the ClamAV plugin of SpamAssassin's
 * wiki: check_clamav(), the header X-Spam-Virus ("Yes (NAME)", "No", "Error (why)") and the tag
 * CLAMAVRESULT. The rules judge when the engine has answered (flow/). */
#include "rules/eval.h"

#include "rules/plugin.h"

static const char plugin[] = "ClamAV";

bool virus_rules(const struct conf *conf)
{
    return conf_plugin(conf, plugin);
}

static struct span answer(const struct virus_facts *f, struct arena *a)
{
    struct span why = f->detail.n ? f->detail : SPAN("no answer");
    switch (f->state) {
    case VIRUS_FOUND:
        return arena_printf(a, "Yes (%.*s)", SPAN_ARG(f->name));
    case VIRUS_CLEAN:
        return SPAN("No");
    case VIRUS_ERROR:
        return arena_printf(a, "Error (%.*s)", SPAN_ARG(why));
    case VIRUS_NO_ENGINE:
        return SPAN("Error (no engine)");
    case VIRUS_TOO_LARGE:
        return SPAN("Error (too large)");
    case VIRUS_ENCRYPTED:
        return SPAN("Error (encrypted)");
    case VIRUS_NOT_RUN:
        break;
    }
    return SPAN_NONE;
}

struct span virus_header(const struct rules_ctx *c, struct span name)
{
    bool asked = span_ieq(name, SPAN("X-Spam-Virus")) && virus_rules(c->conf);
    return asked ? answer(&c->m->facts.virus, c->a) : SPAN_NONE;
}

void virus_tag(struct rules_ctx *c)
{
    if (virus_rules(c->conf))
        plugin_tag(c, "CLAMAVRESULT", answer(&c->m->facts.virus, c->a));
}

static double check_clamav(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return c->m->facts.virus.state == VIRUS_FOUND;
}

const struct eval_fn_def eval_virus[] = {
    {"check_clamav", plugin, check_clamav, .types = 0},
    {NULL},
};

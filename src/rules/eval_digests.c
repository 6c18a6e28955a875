/* Pyzor, Razor2 and DCC over what room digests found out before the rules run (facts.digests). A
 * service that was not asked, or did not answer, hits nothing. */
#include "rules/eval.h"

#include "rules/plugin.h"

/* --- Pyzor --- */

/* Empty texts share a digest: counts this large say nothing. */
enum { COUNT_ABSURD = 1000000, WELCOME_ABSURD = 10000 };

static double check_pyzor(struct rules_ctx *c, const struct eval_call *call)
{
    const struct pyzor_fact *f = &c->m->facts.digests.pyzor;
    const struct conf *conf = c->conf;
    (void)call;
    if (f->state != DIGEST_ANSWERED || !conf_bool(conf, "use_pyzor", true))
        return 0;
    plugin_tag(c, "PYZOR",
               arena_printf(c->a, "Reported %llu times, welcomelisted %llu times.",
                            (unsigned long long)f->count, (unsigned long long)f->welcome));
    double count = (double)f->count, welcome = (double)f->welcome;
    double least = conf_number(conf, "pyzor_count_min", conf_number(conf, "pyzor_max", 5));
    double welcome_min =
        conf_number(conf, "pyzor_welcomelist_min", conf_number(conf, "pyzor_whitelist_min", 10));
    double factor = conf_number(conf, "pyzor_welcomelist_factor",
                                conf_number(conf, "pyzor_whitelist_factor", 0.2));
    double limit = welcome >= welcome_min ? count * factor : 0;
    if (f->count >= COUNT_ABSURD || f->welcome >= WELCOME_ABSURD)
        return 0;
    if (limit != 0 && welcome >= limit)
        return 0;
    return count >= least;
}

/* --- Razor2 --- */

static const struct razor_fact *razor(const struct rules_ctx *c)
{
    const struct razor_fact *f = &c->m->facts.digests.razor;
    return f->state == DIGEST_ANSWERED && conf_bool(c->conf, "use_razor2", true) ? f : NULL;
}

static double check_razor2(struct rules_ctx *c, const struct eval_call *call)
{
    const struct razor_fact *f = razor(c);
    (void)call;
    return f && f->spam;
}

static double check_razor2_range(struct rules_ctx *c, const struct eval_call *call)
{
    const struct razor_fact *f = razor(c);
    if (!f)
        return 0;
    double engine = eval_number(call, 0, 0), confidence = 0;
    for (int i = 0; i <= RAZOR_ENGINE_MAX; i++)
        if ((engine == 0 || engine == i) && f->confidence[i] > confidence)
            confidence = f->confidence[i];
    return confidence >= eval_number(call, 1, 0) && confidence <= eval_number(call, 2, 100);
}

/* --- DCC --- */

static const struct dcc_fact *dcc(const struct rules_ctx *c)
{
    const struct dcc_fact *f = &c->m->facts.digests.dcc;
    return f->state == DIGEST_ANSWERED && conf_bool(c->conf, "use_dcc", true) ? f : NULL;
}

static double check_dcc(struct rules_ctx *c, const struct eval_call *call)
{
    const struct dcc_fact *f = dcc(c);
    (void)call;
    if (!f)
        return 0;
    plugin_tag(c, "DCCB", span_str(f->brand));
    plugin_tag(c, "DCCR", span_str(f->metrics));
    bool rep = f->reputation >= 0 && conf_bool(c->conf, "use_dcc_rep", true);
    if (rep)
        plugin_tag(c, "DCCREP", arena_printf(c->a, "%d", (int)f->reputation));
    const struct {
        int64_t count;
        const char *limit;
    } sums[] = {{f->body, "dcc_body_max"}, {f->fuz1, "dcc_fuz1_max"}, {f->fuz2, "dcc_fuz2_max"}};
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        if ((double)(sums[i].count > 0 ? sums[i].count : 0) >=
            conf_number(c->conf, sums[i].limit, DCC_MANY))
            return 1;
    return (double)(rep ? f->reputation : 0) >= conf_number(c->conf, "dcc_rep_percent", 90);
}

static double check_dcc_reputation_range(struct rules_ctx *c, const struct eval_call *call)
{
    const struct dcc_fact *f = dcc(c);
    if (!f || f->reputation < 0 || !conf_bool(c->conf, "use_dcc_rep", true))
        return 0;
    double percent = (double)f->reputation;
    return percent >= eval_number(call, 0, 0) && percent <= eval_number(call, 1, 100);
}

const struct eval_fn_def eval_digests[] = {
    {"check_pyzor", "Pyzor", check_pyzor, .net = true},
    {"check_razor2", "Razor2", check_razor2, .net = true},
    {"check_razor2_range", "Razor2", check_razor2_range, .net = true},
    {"check_dcc", "DCC", check_dcc, .net = true},
    {"check_dcc_reputation_range", "DCC", check_dcc_reputation_range, .net = true},
    {NULL},
};

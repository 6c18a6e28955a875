#include "flow/flow.h"

#include <stdlib.h>

#include "action/action.h"
#include "auth/auth.h"
#include "auth/hashcash.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "digests/digests.h"
#include "flow/cleaning.h"
#include "flow/known.h"
#include "flow/asking.h"
#include "flow/guarded.h"
#include "flow/opinions.h"
#include "flow/scripting.h"
#include "flow/teaching.h"
#include "mime/mime.h"
#include "reports/evaluation.h"

enum { RECORDED_HEADER_MAX = 500 }; /* bytes of Subject, From and Message-ID kept in the record */

struct flow {
    uv_loop_t *loop;
    const struct settings *set;
    const struct ruleset *rs;
    struct rules_scratch *scratch;
    struct virus_pool *virus;
    struct dns *dns;               /* NULL: nothing asks the network */
    struct auth *auth;             /* NULL: senders are not checked */
    struct digests *digests;       /* NULL: none is configured */
    struct rules_profile *profile; /* NULL: nobody asks */
    struct policy_set *policies;
    struct prefs *prefs;              /* NULL: nobody can have any */
    const struct rules_prefs *of_all; /* instead: the same for every message */
    struct scripting *script;         /* NULL: none */
};

/* One message in work: done when both the engine and the rules have given their facts. They work
 * side by side, unless the rules read what the engine says: then they judge last. */
struct job {
    struct flow *flow;
    struct message *m;
    flow_done *done;
    void *ctx;
    usec started;
    int waiting, before_rules; /* what the rules still wait for */
    bool engine_first;         /* the engine's answer is among that */
    struct asking *asking;
    struct auth_client client;
    bool lost;               /* out of memory while answers were taken */
    struct rules_work *work; /* NULL: rules don't run, or ran out of memory */
    struct span traced;      /* the bytes that rules see */
    struct opinions_wanted wanted;
};

struct flow *flow_new(uv_loop_t *loop, const struct settings *set, const struct ruleset *rs,
                      struct virus_pool *virus)
{
    struct flow *f = xcalloc(1, sizeof *f);
    *f = (struct flow){
        .loop = loop, .set = set, .rs = rs, .virus = virus, .policies = policy_set_new(set)};
    f->script = scripting_new(loop, set, settings_script(set));
    if (rs) {
        f->scratch = rules_scratch_new(rs);
        f->prefs = prefs_new(set, rs);
    }
    if (set->rules.network || set->authentication.enabled)
        f->dns = dns_new(loop, &set->dns);
    if (set->authentication.enabled)
        f->auth = auth_new(set);
    if (set->rules.network)
        f->digests = digests_new(loop, set, f->dns);
    return f;
}

void flow_free(struct flow *f)
{
    if (!f)
        return;
    if (f->scratch)
        rules_scratch_free(f->scratch);
    policy_set_free(f->policies);
    auth_free(f->auth);
    digests_free(f->digests);
    scripting_free(f->script);
    dns_free(f->dns);
    prefs_free(f->prefs);
    free(f);
}

void flow_prefs(struct flow *f, const struct rules_prefs *prefs)
{
    f->of_all = prefs;
}

void flow_script(struct flow *f, const struct script_settings *script)
{
    scripting_free(f->script);
    f->script = scripting_new(f->loop, f->set, script);
}

void flow_memory(struct flow *f, struct kv *memory)
{
    scripting_memory(f->script, memory);
}

unsigned flow_script_calls(const struct flow *f)
{
    return scripting_calls(f->script);
}

void flow_script_stage(struct flow *f, struct message *m, const struct script_request *q,
                       struct script_result *out)
{
    scripting_stage(f->script, m, q, out);
}

void flow_profile(struct flow *f, struct rules_profile *total)
{
    f->profile = total;
    if (f->scratch)
        rules_scratch_profile(f->scratch, total);
}

/* The message taken apart for policies; NULL when none asks. */
static struct parts *parts_of(struct flow *f, struct message *m)
{
    const struct limits *l = &f->set->limits;
    if (!policy_set_wants_parts(f->policies) && !scripting_wants_parts(f->script) &&
        !m->facts.virus.nparts)
        return NULL;
    const struct mime_limits limits = {l->mime_parts, l->mime_depth, l->mime_headers};
    struct mime *mime = mime_parse(m->arena, m->raw, &limits);
    struct magic *magic = policy_set_magic(f->policies);
    return parts_new(mime, magic ? magic : scripting_magic(f->script), m->arena);
}

/* Not inlined: gcc does not see that only the last of several steps gets here, and warns. */
static __attribute__((noinline)) void decide(struct job *j)
{
    struct message *m = j->m;
    struct verdict *v = ARENA_NEW(m->arena, struct verdict);
    arena_limit(m->arena, 2 * j->flow->set->limits.message_memory); /* as much again as the rules */
    digests_publish(m);
    struct parts *parts = parts_of(j->flow, m);
    struct wishes wishes = {0};
    scripting_ask(j->flow->script, m, parts, &wishes);
    verdict_decide(j->flow->policies, &j->flow->set->virus, m, parts, &wishes, m->arena, v);
    uint64_t micros = (uint64_t)(clock_mono() - j->started);
    known_learn(j->flow->set, m);
    flow_done *done = j->done;
    void *ctx = j->ctx;
    free(j);
    done(ctx, m, v, micros);
}

static void cleaned(void *ctx)
{
    decide(ctx);
}

/* A script may ask for cleaning in words that nobody knows before. */
static bool wants_cleaning(const struct job *j)
{
    const struct flow *f = j->flow;
    return j->m->facts.virus.state == VIRUS_FOUND && !j->m->body_fixed &&
           (policy_set_cleans(f->policies) || f->script);
}

static void step_done(struct job *j)
{
    if (--j->waiting > 0)
        return;
    if (wants_cleaning(j))
        cleaning_run(j->flow->virus, j->flow->set, j->m, j->started, cleaned, j);
    else
        decide(j);
}

/* The bytes that rules see: the gateway's own trace field on top, as behind any MTA. */
static struct span with_trace(const struct settings *set, struct message *m)
{
    struct span trace = action_trace(set, m, m->arena);
    if (trace.n == 0)
        return m->raw;
    char *p = arena_raw(m->arena, trace.n + m->raw.n);
    memcpy(p, trace.p, trace.n);
    if (m->raw.n)
        memcpy(p + trace.n, m->raw.p, m->raw.n);
    return span_of(p, trace.n + m->raw.n);
}

static void read_message(void *ctx)
{
    struct job *j = ctx;
    struct span original = j->m->raw;
    j->m->raw = j->traced = with_trace(j->flow->set, j->m);
    j->work = rules_open(j->flow->rs, j->flow->scratch, j->m, j->flow->set->dns.message_questions);
    j->m->raw = original;
}

static struct span packed(const struct flow *f, struct arena *a, const struct learn_lesson *l)
{
    struct rules_expiry x = rules_expiry(f->rs);
    struct buf b = {0};
    teaching_encode(&b, &x, l);
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

/* What the judgement teaches, before the next message is judged. */
static void note_lessons(struct job *j)
{
    struct flow *f = j->flow;
    struct message *m = j->m;
    struct learn_lesson l;
    if (rules_auto_lesson(f->scratch, m, &l))
        m->lesson = packed(f, m->arena, &l);
    if (rules_touch_lesson(f->scratch, m, &l))
        m->touched = packed(f, m->arena, &l);
}

static void judge(void *ctx)
{
    struct job *j = ctx;
    struct span original = j->m->raw;
    j->m->raw = j->traced;
    known_recall(j->flow->set, j->m);
    rules_scratch_keep(j->flow->scratch, j->wanted.n > 0);
    rules_judge(j->work, j->flow->scratch);
    opinions_make(j->flow->scratch, j->m, &j->wanted, original);
    note_lessons(j);
    j->m->raw = original;
    facts_add(&j->m->facts, j->m->arena, "rules.hash", span_str(ruleset_hash(j->flow->rs)));
}

/* What the jump left half done is not used again: the scratch is replaced, not freed. */
static void rules_out_of_memory(struct job *j)
{
    struct flow *f = j->flow;
    struct message *m = j->m;
    if (f->rs) {
        f->scratch = rules_scratch_new(f->rs);
        rules_scratch_profile(f->scratch, f->profile);
    }
    memset(&m->facts.auth, 0, sizeof m->facts.auth);
    memset(&m->facts.rules, 0, sizeof m->facts.rules);
    m->opinions = NULL;
    arena_limit(m->arena, 0);
    facts_skip(&m->facts, m->arena, "rules",
               SPAN("the message needs more memory than limits.message_memory"));
}

static void judge_rules(struct job *j)
{
    struct span original = j->m->raw;
    if (j->lost || (j->work && !guarded(j->m, j->flow->set->limits.scan_time, judge, j))) {
        j->m->raw = original;
        rules_out_of_memory(j);
    }
    step_done(j);
}

static void before_rules_done(struct job *j)
{
    if (--j->before_rules == 0)
        judge_rules(j);
}

static void answers_known(void *ctx)
{
    struct job *j = ctx;
    j->lost = asking_exhausted(j->asking);
    j->asking = NULL;
    before_rules_done(j);
}

static void digests_known(void *ctx)
{
    before_rules_done(ctx);
}

static void virus_known(void *ctx)
{
    struct job *j = ctx;
    if (j->engine_first)
        before_rules_done(j);
    step_done(j);
}

static void virus_answered(void *ctx, struct message *m)
{
    struct job *j = ctx;
    if (m->facts.virus.state == VIRUS_CLEAN && cleaning_blind(m))
        cleaning_look(j->flow->virus, j->flow->set, m, j->started, virus_known, j);
    else
        virus_known(j);
}

static void start_virus(struct job *j, int fd)
{
    struct flow *f = j->flow;
    if (f->virus && f->set->virus.enabled) {
        j->engine_first = f->rs && ruleset_reads_virus(f->rs);
        j->before_rules += j->engine_first;
        virus_scan(f->virus, j->m, fd, virus_answered, j);
        return;
    }
    j->m->facts.virus.state = VIRUS_NOT_RUN;
    step_done(j);
}

/* false: somebody's preferences can't be read, and without them there is to be no answer. */
static bool know_preferences(struct job *j)
{
    if (j->flow->of_all)
        j->wanted = opinions_for_all(j->m, j->flow->of_all);
    else
        return opinions_gather(j->flow->prefs, j->m, &j->wanted);
    return true;
}

static void open_rules(struct job *j)
{
    struct flow *f = j->flow;
    struct span original = j->m->raw;
    if (!f->set->rules.enabled)
        return; /* off by configuration: the receipt shows that they did not run */
    if (!f->rs) {
        facts_skip(&j->m->facts, j->m->arena, "rules", SPAN("no rules could be loaded"));
    } else if (know_preferences(j) && !guarded(j->m, f->set->limits.scan_time, read_message, j)) {
        j->work = NULL;
        j->m->raw = original;
        rules_out_of_memory(j);
    }
}

static void senders_known(void *ctx)
{
    struct job *j = ctx;
    asking_release(j->asking);
}

static void check_senders(void *ctx)
{
    struct job *j = ctx;
    auth_message(j->flow->auth, asking_resolver(j->asking), j->m, &j->client, senders_known, j);
}

/* false: out of memory. */
static bool start_senders(struct job *j)
{
    struct flow *f = j->flow;
    if (!f->auth || !auth_client_of(f->set, j->m, &j->client))
        return true;
    asking_hold(j->asking);
    return guarded(j->m, f->set->limits.scan_time, check_senders, j);
}

static void start_questions(struct job *j)
{
    struct flow *f = j->flow;
    j->asking = asking_new(f->loop, f->dns, f->set, j->m, answers_known, j);
    if (!start_senders(j))
        asking_lose(j->asking);
    else if (j->work)
        asking_rules(j->asking, j->work);
    asking_go(j->asking);
}

static void ask_digests(void *ctx)
{
    struct job *j = ctx;
    digests_ask(j->flow->digests, j->m, digests_known, j);
}

/* Authentication, rules and digests: all ask the network; the rules judge when the answers are
 * there. */
static void start_checks(struct job *j)
{
    struct flow *f = j->flow;
    hashcash_publish(f->set, j->m);
    j->before_rules += (f->digests != NULL) + (f->dns != NULL);
    if (f->digests) /* first: their servers work while the message is read */
        guarded(j->m, f->set->limits.scan_time, ask_digests, j);
    open_rules(j);
    if (f->dns)
        start_questions(j);
    before_rules_done(j);
}

void flow_run(struct flow *f, struct message *m, int fd, flow_done *done, void *ctx)
{
    struct job *j = xcalloc(1, sizeof *j);
    *j = (struct job){
        .flow = f, .m = m, .done = done, .ctx = ctx, .started = clock_mono(), .waiting = 1};
    policy_set_refresh(f->policies);
    if (verdict_wants_scan(f->policies, m, m->arena)) {
        j->waiting += 2;
        j->before_rules = 1; /* the reading of it */
        start_virus(j, fd);
        start_checks(j);
    }
    step_done(j);
}

/* --- lessons --- */

struct reading {
    struct flow *f;
    struct message *m;
    enum learn_class what;
    struct span out;
};

static void read_lesson(void *ctx)
{
    struct reading *r = ctx;
    struct learn_lesson l;
    rules_lesson(r->f->rs, r->m, r->what, &l);
    r->out = packed(r->f, r->m->arena, &l);
}

struct span flow_lesson(struct flow *f, struct message *m, enum scan_teach teach, const char **why)
{
    struct reading r = {.f = f, .m = m};
    r.what = teach == TEACH_SPAM ? LEARN_SPAM : teach == TEACH_HAM ? LEARN_HAM : LEARN_FORGET;
    *why = NULL;
    if (!f->rs || !rules_learn_told(f->rs))
        return SPAN_NONE;
    if (guarded(m, f->set->limits.scan_time, read_lesson, &r))
        return r.out;
    *why = "the message needs more memory than limits.message_memory";
    return SPAN_NONE;
}

struct report {
    size_t took;
    flow_reported *done;
    void *ctx;
};

static void report_told(void *ctx, const char *service, const char *server, const char *why)
{
    struct report *r = ctx;
    if (why)
        log_event(LOG_WARN, NULL, "report-refused", F_STR("service", service),
                  F_STR("server", server), F_STR("why", why));
    r->took += !why;
}

static void report_done(void *ctx)
{
    struct report *r = ctx;
    flow_reported *done = r->done;
    void *up = r->ctx;
    size_t took = r->took;
    free(r);
    done(up, took);
}

void flow_report(struct flow *f, struct message *m, bool wanted, flow_reported *done, void *ctx)
{
    struct report *r = xcalloc(1, sizeof *r);
    *r = (struct report){0, done, ctx};
    const struct digests_report to = {.services = DIGEST_PYZOR | DIGEST_RAZOR | DIGEST_DCC,
                                      .wanted = wanted,
                                      .told = report_told,
                                      .done = report_done,
                                      .ctx = r};
    if (f->digests)
        digests_report(f->digests, m, &to);
    else
        report_done(r);
}

/* --- the scan result --- */

static struct span recorded(struct mime *mime, struct span name)
{
    struct mime_field *field = mime_last(&mime->root->fields, name);
    if (!field)
        return SPAN_NONE;
    struct span s = mime_decoded(mime, field);
    return span_sub(s, 0, RECORDED_HEADER_MAX);
}

static void group_of(const struct flow *f, struct message *m, const struct decision *d,
                     struct group *g)
{
    *g = (struct group){
        .outcome = d->outcome,
        .policy = span_str(d->policy->name),
        .reason = span_str(d->reason),
        .detail = d->detail,
        .unscanned = d->unscanned,
        .rcpts = d->rcpts,
        .nrcpts = d->nrcpts,
        .reply = action_reply(m, d, m->arena),
    };
    g->delivery = action_delivery(d, m->arena);
    if (action_edits(f->set, f->rs ? ruleset_conf(f->rs) : NULL, m, d, m->arena, &g->edits)) {
        g->delivery.keep = true;
        g->outcome = g->outcome == OUT_ACCEPT || g->outcome == OUT_TAG ? OUT_CLEAN : g->outcome;
    }
}

struct leaving {
    const struct flow *f;
    struct message *m;
    const struct verdict *v;
    struct span items;
};

static void leave_items(void *ctx)
{
    struct leaving *l = ctx;
    l->items = evaluation_items(l->f->set, l->m, l->v, l->m->arena);
}

/* What the message leaves for reports: it may bring one, which is a stranger's archive. */
static struct span items_of(const struct flow *f, struct message *m, const struct verdict *v)
{
    struct leaving l = {.f = f, .m = m, .v = v};
    return guarded(m, f->set->limits.scan_time, leave_items, &l) ? l.items : SPAN_NONE;
}

void flow_result(const struct flow *f, struct message *m, const struct verdict *v, uint64_t micros,
                 struct scan_result *out)
{
    arena_limit(m->arena, 0); /* what is made from here on is bounded by the message's size */
    struct span header = span_sub(m->raw, 0, f->set->limits.header_bytes);
    size_t end = span_search(header, SPAN("\r\n\r\n"));
    if (end != SIZE_MAX)
        header = span_sub(header, 0, end + 4);
    const struct mime_limits limits = MIME_LIMITS_DEFAULT;
    struct mime *mime = mime_parse(m->arena, header, &limits);
    *out = (struct scan_result){
        .score = m->facts.rules.score,
        .required = m->facts.rules.required,
        .virus = m->facts.virus.state == VIRUS_FOUND ? m->facts.virus.name : SPAN_NONE,
        .subject = recorded(mime, SPAN("Subject")),
        .header_from = recorded(mime, SPAN("From")),
        .message_id = recorded(mime, SPAN("Message-ID")),
        .spf_domain =
            m->facts.auth.mailfrom.result == SPF_PASS ? m->facts.auth.mailfrom.domain : SPAN_NONE,
        .micros = micros,
        .ngroups = v->n,
        .groups = arena_array(m->arena, v->n, sizeof *out->groups),
    };
    memcpy(out->id, m->id, sizeof out->id);
    for (size_t i = 0; i < v->n; i++)
        group_of(f, m, &v->v[i], &out->groups[i]);
    out->mails = action_mails(f->set, m, v, m->arena);
    out->reports = items_of(f, m, v);
    out->receipt = action_receipt(f->set, m, v, micros, m->arena);
}

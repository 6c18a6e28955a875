/* The compiled rules and the scratch of one judgement, between the files of this room. */
#ifndef GATEHOUSE_RULES_RULESET_PRIVATE_H
#define GATEHOUSE_RULES_RULESET_PRIVATE_H

#include "rules/context.h"
#include "rules/eval.h"
#include "rules/meta.h"
#include "rules/meta_plan.h"
#include "pattern/prefilter.h"
#include "rules/profile.h"
#include "pattern/refute.h"
#include "rules/ruleset.h"

/* Why a rule that was read is not run. */
enum rule_state {
    RULE_RUNS,
    RULE_UNDEFINED, /* score or description only */
    RULE_ZERO,      /* score 0 in the active set */
    RULE_NETWORK,   /* asks the network */
    RULE_LEARNING,  /* asks Bayes */
    RULE_NO_EVAL,   /* its function does not exist here */
    RULE_NO_PLUGIN, /* its function's plugin is not loaded */
    RULE_BAD_ARGS,
    RULE_BAD_REGEX,
    RULE_BLOCKED, /* a meta over a meta with score 0, or in a circle */
    RULE_STATES
};

enum subject_kind {
    SUBJECT_HEADER,
    SUBJECT_BODY,
    SUBJECT_RAWBODY,
    SUBJECT_URI,
    SUBJECT_FULL,
    SUBJECT_MIMEHEADER
};

struct rule { /* what every hit needs stands first, close together */
    const struct rule_def *def;
    struct regex *regex; /* regex kinds but templates */
    uint32_t index;
    uint32_t rank; /* the place of its name among all names */
    bool sub;      /* __NAME */
    bool multiple, nosubject, negate;
    unsigned maxhits; /* 0: no bound */
    int priority;     /* after SpamAssassin's fix-ups */
    int64_t turn;     /* when SpamAssassin would have run it: the order of hits in reports */
    double score;     /* in the active set */
    double base;      /* value when nothing has hit: only metas have one that is not 0 */
    const char *area;
    enum rule_state state;
    struct eval_call *call; /* evals */
    struct meta *meta;
    struct regex **details; /* uri_detail: one for each test */
    uint32_t *dependants;   /* metas that use this rule, ascending order of evaluation */
    size_t ndependants, dependants_cap;
};

/* A rule that is always tried, with what that needs first. */
enum trial_kind { TRIAL_PATTERN, TRIAL_TEMPLATE, TRIAL_EXISTS, TRIAL_NEGATED };
struct trial {
    struct rule *rule;
    uint32_t index;
    enum trial_kind kind;
};

/* Rules that look at the same strings. */
struct subject {
    enum subject_kind kind;
    struct span name; /* header request, or MIME header */
    struct header_req req;
    bool raw; /* MIME header */
    struct rule **rules;
    size_t nrules, rules_cap;
    struct prefilter *prefilter; /* of the rules that it can tell something about; NULL: none */
    struct rule **always;        /* the others: tried on every string */
    size_t nalways, always_cap;
    struct trial *trials; /* of always */
    struct refuter
        *refuter; /* by index of rules; NULL: their patterns are not those it was made of */
    struct rule **guarded; /* tried where one automaton for all of them sees a chance */
    size_t nguarded, guarded_cap;
    struct automaton *guard; /* NULL: none are */
    struct rule **special; /* MIME header rules whose answer needs more than the values in order */
    size_t nspecial, special_cap;
    struct rule **when_absent; /* header rules that may hit without the header */
    size_t nwhen_absent, absent_cap;
};

/* Settings of the plugin of that name (rules/shortcircuit.h). */
struct shortcircuit {
    bool active;
    double spam_score, ham_score;
    double min_ham_score, max_spam_score; /* infinite: not set */
    bool mentioned;                       /* some rule has a shortcircuit line */
    struct rule *rule;                    /* SHORTCIRCUIT; NULL: nobody mentions it */
};

/* fn is NULL for those that look at details of URIs. */
struct eval_run {
    struct rule *rule;
    uint32_t index; /* of the rule */
    bool html;      /* finds nothing where there is no HTML */
    const struct eval_call *call;
    double (*fn)(struct rules_ctx *c, const struct eval_call *call);
};

/* A subject of headers, for the look whether they are there. */
struct header_place {
    uint32_t subject;
    uint16_t name_bit; /* of mime_name_bit */
    bool made_of_others, may_hit_absent;
};

/* Evals and the few regex rules that must run early, in SpamAssassin's order. */
struct ruleset {
    struct arena *arena;
    struct conf *conf;
    unsigned score_set;
    bool local_only, check; /* of the options */
    bool keep_bytes;        /* that matched, of sub-rules too: for rules_why */
    bool learned;           /* rules of Bayes run: score sets 2 and 3 */
    bool network; /* rules ask the network: not local_only, and dns_available is not "no" */

    struct rule *rules; /* by index: the order of conf->rules */
    size_t nrules;
    const char **by_rank; /* names in order */

    struct rule **captures;   /* named groups: before everything */
    struct rule **early_body; /* body rules below the first function that edits the body */
    struct rule **evals;
    struct eval_run *eval_runs; /* of evals */
    struct rule **metas;        /* in order of evaluation */
    struct meta_plan *plan;     /* of metas: when they are computed */
    size_t ncaptures, nearly_body, nevals, nmetas;
    size_t captures_cap, early_body_cap, evals_cap, metas_cap;

    struct subject *subjects;
    size_t nsubjects, subjects_cap;
    struct refuter *refuter;      /* of all subjects, by index of rules */
    struct header_place *headers; /* header subjects, in order */
    size_t nheaders, headers_cap;
    struct subject **mimeheaders; /* MIME header subjects */
    size_t nmimeheaders, mimeheaders_cap;
    struct subject *only[SUBJECT_MIMEHEADER]; /* by kind, of those that have one; NULL: no rules */

    struct text_limits text_limits;
    uint32_t match_limit, depth_limit;
    size_t message_size;
    double required;
    struct shortcircuit shortcircuit;

    struct rule_problem *problems;
    size_t nproblems, problems_cap;
    char hash[65];
};

struct hit {
    struct rule *rule;
    int64_t turn; /* of the rule, as the others: reading it once is cheaper */
    uint32_t rank, index;
    bool sub;
    struct span evidence;
};
static inline struct hit hit_of(struct rule *r, struct span evidence)
{
    return (struct hit){r, r->turn, r->rank, r->index, r->sub, evidence};
}

/* Rules of a header subject that hit when the header is missing: always the same ones. */
struct absent {
    bool known;
    struct rule **v;
    size_t n;
};

/* How the refuter fares with a rule: it is left out for a while where it nearly always has no
 * answer and PCRE2 finds nothing, or where its answers take longer than doing without them. */
struct doubt {
    uint8_t asked, vain;
    uint16_t rest;   /* tries that it is left out of */
    uint8_t untimed; /* rounds of answers that need no timing */
    uint8_t trying;  /* tries without it that are still to be timed */
    uint32_t ns;     /* timed so far */
    uint32_t with;   /* what a round with its answers took */
};

struct rules_scratch {
    const struct ruleset *set;
    double *value;     /* by rule */
    unsigned *count;   /* by rule */
    bool *limited;     /* by rule: reported as cut off */
    unsigned nlimited; /* how many of them */
    uint32_t *touched; /* rules whose value and count are not 0 */
    size_t ntouched;
    struct arena *arena;    /* as long as the scratch */
    struct meta_run *metas; /* one for each set of rules that it was used with */
    struct doubt *doubts;   /* by rule */
    struct absent *absent;  /* by subject: what hits without the header; worked out once */
    struct hit *hits;       /* first hits, in order of occurrence */
    size_t nhits, hits_cap;
    struct prefilter_scratch *prefilter;
    struct template_memory *templates;
    struct header_requests *headers;
    double shortcircuit_score; /* of SHORTCIRCUIT, when it hit */
    uint64_t *subrules;        /* by rank: has hit */
    struct {
        const char *rule; /* whose score was found while it ran (AWL, TXREP), or NULL */
        double score;
    } adjusted;
    bool keep;                   /* for opinions (rules/prefs.h) */
    struct kept_hits *kept;      /* in the message's arena */
    struct rules_prefs *learned; /* the set while Bayes runs (bayes_view); NULL: not needed yet */
    struct rules_ctx *lesson;    /* of the message that was judged last: what it teaches */
    struct stopwatch *profile;   /* NULL: nobody asks for times */
    struct map tags;             /* NAME -> struct tag_values *; in the message's arena */
};

struct tag_values {
    struct span *v;
    size_t n, cap;
};

void ruleset_problem(struct ruleset *rs, struct conf_at at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ruleset.c: where rules are looked for. Valid as long as o. */
struct conf_options ruleset_conf_options(const struct ruleset_options *o);

/* compile.c */
/* cost.c: whether no filter spares the pattern texts in which it can't match; microseconds for
 * RULE_COST_BYTES of ordinary text (the best of `tries` measurements), -1: it has no pattern. */
bool rule_always_tried(const struct ruleset *rs, const struct rule *r);
double rule_pattern_cost(const struct rule *r, int tries);

/* How messages are read under these settings. */
struct text_limits ruleset_text_limits(const struct conf *c);

void ruleset_compile(struct ruleset *rs, const struct ruleset_options *o);
/* One rule: its state under the ruleset's scores, and what it needs to run. Metas are left to
 * ruleset_compile_metas, which takes what is compiled already. */
void ruleset_make_rule(struct ruleset *rs, struct rule *r);
/* A subject that has only this header or mimeheader rule. */
bool ruleset_lone_subject(struct ruleset *rs, struct subject *s, struct rule *r);
void ruleset_set_turns(struct ruleset *rs);
void ruleset_rank_names(struct ruleset *rs);
/* compile_evals.c */
void ruleset_place_evals(struct ruleset *rs);
/* compile_filter.c: candidate filters for all subjects, from the cache or compiled anew. */
void ruleset_compile_filters(struct ruleset *rs, const struct ruleset_options *o);
void ruleset_make_trials(struct ruleset *rs, struct subject *s);
/* lint.c: problems that only `check` tells. */
void ruleset_lint(struct ruleset *rs, const struct ruleset_options *o);
/* compile_meta.c: order of evaluation, base values, blocked ones, priorities. */
void ruleset_compile_metas(struct ruleset *rs);
void ruleset_meta_turns(struct ruleset *rs);

/* match.c: one rule on the elements from `first` on, as SpamAssassin would: counts hits. */
void match_rule(struct rules_ctx *c, struct rule *r, const struct span *elements, size_t n,
                size_t first);
/* A rule without captures on one string; the state of evals is not needed. */
void match_subject(struct rules_ctx *c, struct subject *s, const struct span *elements, size_t n);
/* A header rule on a message without that header. */
void match_unset(struct rules_ctx *c, struct rule *r);
void match_absent(struct rules_ctx *c, struct subject *s);

/* run.c: the two halves of a judgement. Reading needs no scratch; laps may be NULL. */
void run_read(struct rules_ctx *c, struct laps *laps);
void run_judge(struct rules_ctx *c);

/* Places in one priority, in SpamAssassin's order. */
enum { TURNS = 16, TURN_META = TURNS - 1 };

/* hits.c */
void hit_add(struct rules_ctx *c, struct rule *r, double value, struct span evidence);
/* Further hits of a rule that has hit, which may hit several times. */
void hit_more(struct rules_ctx *c, const struct rule *r, size_t n);
void hits_report(struct rules_ctx *c);
/* As SpamAssassin rounds, through "%.3f". */
double score_rounded(double score);
/* A pattern reached its limit: told by the rule's name. Many of them, and the others get less;
 * hits_budget: a new message. */
void hit_limited(struct rules_ctx *c, struct rule *r);
void hits_budget(struct rules_scratch *s);

#endif

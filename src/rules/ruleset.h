/* The rules people trust: SpamAssassin's files read, compiled, matched, scored.
 *
 * A ruleset is immutable after loading and shared by all scanners (fork after load, or map the same
 * cache file). Everything that changes while a message is judged is in a rules_scratch: one per
 * thread of work. */
#ifndef GATEHOUSE_RULES_RULESET_H
#define GATEHOUSE_RULES_RULESET_H

#include "base/err.h"
#include "config/settings.h"
#include "dns/dns.h"
#include "message/message.h"

#include <stdio.h>

struct ruleset;
struct rules_scratch;

struct ruleset_options {
    const struct rules_settings *settings;
    const char *cache_dir; /* compiled patterns by content hash; NULL: no cache */
    bool local_only;       /* no network rules (score sets 0 and 2) */
    bool check;            /* compile every pattern now, so that broken ones are problems */
    unsigned threads;      /* for cold compilation; 0: one a core */
};

/* Reads and compiles. A line that can't be used is a problem with file:line (ruleset_problems), not
 * a failure; NULL only when no rule directory can be read at all. */
struct ruleset *ruleset_load(const struct ruleset_options *o, struct err *e);
void ruleset_free(struct ruleset *rs);
/* Leaves a note in the cache that this set was loaded to the end. */
void ruleset_note(const struct ruleset *rs, const struct ruleset_options *o);
/* Whether there is such a note, and all files and directories of the rules are what they were then:
 * loading will go well. Takes the note away, so that whoever dies of it all the same does so once.
 */
bool ruleset_noted(const struct ruleset_options *o);
/* Translates all patterns now, on all cores, rather than each at its first use: before forking.
 * giants: also makes what leads the longest ones, which takes as long again; for many messages. */
void ruleset_warm(const struct ruleset *rs, bool giants);

struct rules_scratch *rules_scratch_new(const struct ruleset *rs);
void rules_scratch_free(struct rules_scratch *s);

/* Judges m and fills m->facts.rules (and skipped, for rules cut off by their limits), without
 * asking the network. */
void rules_run(const struct ruleset *rs, struct rules_scratch *s, struct message *m);

/* Where the time goes, by stage and by rule: totals in zeroed memory of that size, which processes
 * may share (every one adds to it); NULL: no longer. Printed with at most `most` rules, the dearest
 * first; as one line of JSON with all. */
struct rules_profile;
size_t rules_profile_size(const struct ruleset *rs);
void rules_scratch_profile(struct rules_scratch *s, struct rules_profile *total);
void rules_profile_print(const struct ruleset *rs, const struct rules_profile *p, size_t most,
                         FILE *out, bool json);

/* What single rules cost, the dearest first; *out is the caller's to free, what it names is the
 * set's. Measured: of all rules that were tried. Estimated: of every pattern, for a message of
 * RULE_COST_BYTES of ordinary text. */
enum { RULE_COST_BYTES = 10000 };
struct rule_cost {
    const char *name, *file; /* file: NULL for rules that no file defines */
    unsigned line;
    double micros;        /* a message */
    double share;         /* of all judging (measured), of all patterns (estimated) */
    uint64_t tries, hits; /* measured; hits: messages */
    bool always;          /* estimated: tried on every string, no filter stands in front of it */
    double chances;       /* estimated: how often what it must hold occurs; negative: unknown */
};
size_t rules_profile_costs(const struct ruleset *rs, const struct rules_profile *p,
                           struct rule_cost **out);
uint64_t rules_profile_messages(const struct rules_profile *p);
size_t ruleset_estimate(const struct ruleset *rs, struct rule_cost **out);

/* The same in steps, when network rules shall see answers: read, ask, judge. Between the steps
 * nothing of m may change but its facts (auth, read by rules of SPF, DKIM and DMARC). All memory is
 * m's arena: exhaustion may jump out of each step.
 *
 *     w = rules_open(rs, scratch, m, budget); rules_plan(w);
 *     ask questions 0 to rules_questions(w) - 1; when one is answered: if (rules_answer(w, i, a))
 *     { rules_plan(w); ask the new ones; }  when new facts are there that
 * rules ask about: rules_plan(w); when all are answered, or time is over: rules_judge(w, scratch)
 *
 * What stays unanswered does not hit, and is told in the facts ("rules/network"). */
struct rules_work;
struct rules_work *rules_open(const struct ruleset *rs, struct rules_scratch *s, struct message *m,
                              size_t questions);
void rules_plan(struct rules_work *w);
size_t rules_questions(const struct rules_work *w);
struct rules_question {
    struct span name; /* valid as long as m */
    enum dns_type type;
};
struct rules_question rules_question(const struct rules_work *w, size_t i);
/* true: the answer leads to further questions, plan again. */
bool rules_answer(struct rules_work *w, size_t i, const struct dns_answer *a);
void rules_judge(struct rules_work *w, struct rules_scratch *s);

/* Why the rules of a judged message hit, in the order of its hits; below each meta, one level
 * deeper, what of its expression held, told in full once. Of the texts one is there: at most 200
 * bytes. ruleset_keep_bytes: before judging; without it the bytes of sub-rules may be missing. */
void ruleset_keep_bytes(struct ruleset *rs);
struct rule_reason {
    const char *name;
    unsigned level;         /* 0: a visible rule */
    struct span bytes;      /* that matched */
    struct span expression; /* of a meta */
    struct span definition; /* of what sees no bytes: functions, missing headers */
    bool again;             /* a meta that was told before */
};
void rules_why(const struct message *m, void (*tell)(void *ctx, const struct rule_reason *reason),
               void *ctx);

struct rule_problem {
    const char *file;
    unsigned line;
    const char *text; /* what is wrong and what it costs */
};
const struct rule_problem *ruleset_problems(const struct ruleset *rs, size_t *n);

/* `gatehouse rules list|explain|coverage`: plain text or JSON. explain returns -1 for an unknown
 * name; what a match costs is measured on the spot. */
struct rule_history { /* of the record */
    bool known;
    unsigned days;
    size_t messages;
    usec last; /* wall time; 0: never */
};
void ruleset_list(const struct ruleset *rs, FILE *out, bool json);
int ruleset_explain(const struct ruleset *rs, const char *name, const struct rule_history *h,
                    FILE *out, bool json);
void ruleset_coverage(const struct ruleset *rs, FILE *out, bool json);

/* Name of the content hash under which the set is cached, and how many rules are in force. */
const char *ruleset_hash(const struct ruleset *rs);
size_t ruleset_count(const struct ruleset *rs);

/* A setting of the rule files that the rules themselves do not use ("user_scores_dsn"): its last
 * value, or dflt. */
struct span ruleset_value(const struct ruleset *rs, const char *directive, struct span dflt);

/* Rules test what the virus engine says: m->facts.virus has to stand before rules_judge. */
bool ruleset_reads_virus(const struct ruleset *rs);

/* What the rule files said: for reports (rules/report.h). */
struct conf;
const struct conf *ruleset_conf(const struct ruleset *rs);

#endif

/* Eval functions: the tests that SpamAssassin's rule files call by name (semantics section 8).
 * Room-private. One table, eval_table, in eval.c; functions grouped by plugin in eval_*.c. */
#ifndef GATEHOUSE_RULES_EVAL_H
#define GATEHOUSE_RULES_EVAL_H

#include "rules/context.h"

enum eval_type { EVAL_HEADER, EVAL_BODY, EVAL_RAWBODY, EVAL_FULL };

struct eval_fn_def;

/* One use of an eval function in a rule. args are the literals without quotes. prepared is what
 * `prepare` made of them at load (a compiled regex, numbers), in the ruleset's arena. */
struct eval_call {
    const struct eval_fn_def *def;
    const char *rule;
    enum eval_type type;
    struct span *args;
    size_t nargs;
    const double *numbers; /* of the arguments; NULL: to be read from them */
    void *prepared;
};

struct eval_fn_def {
    const char *name;
    const char *plugin; /* Mail::SpamAssassin::Plugin::X without the prefix */
    /* The value of the hit; 0 means no hit. */
    double (*fn)(struct rules_ctx *c, const struct eval_call *call);
    /* Once per call at load; may be NULL. -1: the arguments make no sense (reason in e). */
    int (*prepare)(struct arena *a, const struct conf *conf, struct eval_call *call, struct err *e);
    unsigned types; /* 1 << enum eval_type: what it may be used with; 0: anything */
    bool net;       /* needs DNS or another service: not run locally, counted as such by coverage */
    bool asks;      /* by net_ask (rules/net.h): also run when questions are planned */
    bool learn;     /* needs Bayes */
    bool html;      /* 0 for messages without HTML parts: not called for them */
};

const struct eval_fn_def *eval_find(struct span name);

enum { EVAL_HEAD = 1 << EVAL_HEADER, EVAL_BODIES = 1 << EVAL_BODY | 1 << EVAL_RAWBODY };

/* --- for the functions themselves --- */

/* Arguments: the text (empty when there is none), and as the number Perl makes of it. */
struct span eval_arg(const struct eval_call *call, size_t i);
double eval_number(const struct eval_call *call, size_t i, double dflt);
/* The i-th argument is absent or the word "undef" or "inf": no limit. */
bool eval_open(const struct eval_call *call, size_t i);

/* One table a plugin, each ended by a row without name. */
extern const struct eval_fn_def eval_html[], eval_mime[], eval_body[], eval_image[], eval_uri[],
    eval_bounce[], eval_freemail[], eval_header[], eval_date[], eval_forged[], eval_relay[],
    eval_list[], eval_bayes[], eval_antivirus[], eval_shorturl[], eval_phishing[], eval_access[],
    eval_fromname[], eval_pdf[], eval_shortcircuit[], eval_language[], eval_office[], eval_txrep[],
    eval_dns[], eval_uridnsbl[], eval_askdns[], eval_hashbl[], eval_auth[], eval_geo[],
    eval_virus[], eval_hashcash[], eval_digests[];

/* In a file of its own, but in MIMEEval's table. */
double check_for_uppercase(struct rules_ctx *c, const struct eval_call *call);

#endif

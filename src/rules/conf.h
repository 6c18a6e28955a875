/* Everything the rule files say (semantics sections 1.2, 2): rules, scores, lists, tables,
 * templates.
 *
 * Filled by conf_read, read-only afterwards, all in one arena. A line that can't be used is a
 * problem with file:line and costs only itself. Strings are as written; what is matched without
 * regard to case is stored in lower case. Room-private. */
#ifndef GATEHOUSE_RULES_CONF_H
#define GATEHOUSE_RULES_CONF_H

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "config/settings.h"
#include "relays/relays.h"
#include "rules/globs.h"
#include "pattern/regex.h"
#include "uri/uri.h"

/* Where something was written. */
struct conf_at {
    const char *file; /* NULL: nowhere, built in */
    unsigned line;
};

/* --- rules --- */

enum rule_kind {
    RULE_NONE, /* a name that has a score or a description but no definition */
    RULE_HEADER,
    RULE_BODY,
    RULE_RAWBODY,
    RULE_FULL,
    RULE_URI,
    RULE_MIMEHEADER,
    RULE_URI_DETAIL,
    RULE_META,
    RULE_HEADER_EVAL,
    RULE_BODY_EVAL,
    RULE_RAWBODY_EVAL,
    RULE_FULL_EVAL,
    RULE_DNS_EVAL, /* header evals named check_rbl*, check_dns*; rbleval */
    RULE_EMPTY     /* askdns and reuse: has a score, never hits locally */
};

enum rule_tflag {
    TFLAG_NET = 1u << 0,
    TFLAG_NICE = 1u << 1,
    TFLAG_LEARN = 1u << 2,
    TFLAG_USERCONF = 1u << 3,
    TFLAG_NOAUTOLEARN = 1u << 4,
    TFLAG_MULTIPLE = 1u << 5,
    TFLAG_NOSUBJECT = 1u << 6,
    TFLAG_CONCAT = 1u << 7,
    TFLAG_AUTOLEARN_BODY = 1u << 8,
    TFLAG_AUTOLEARN_HEADER = 1u << 9,
    TFLAG_AUTOLEARN_FORCE = 1u << 10
};

/* One key of a uri_detail rule: "domain =~ /x/". */
struct detail_test {
    struct span key;
    bool negate;
    struct span pattern, mods;
};

/* What a hit of the rule means for the rules not yet run (Shortcircuit). */
enum shortcircuit_type { SHORTCIRCUIT_NO, SHORTCIRCUIT_ON, SHORTCIRCUIT_HAM, SHORTCIRCUIT_SPAM };

enum { SCORE_SETS = 4 }; /* index: bit 0 network allowed, bit 1 Bayes available */

struct rule_def {
    const char *name;
    uint32_t index; /* in conf->rules */
    enum rule_kind kind;
    struct span text; /* the definition as written, after the name */
    struct conf_at at;

    struct span header; /* RULE_HEADER, RULE_MIMEHEADER: "From:addr" */
    bool exists, negate;
    struct span if_unset;      /* absent when not given */
    struct span pattern, mods; /* without delimiters; tags replaced; regex kinds */
    bool replaced;             /* by ReplaceTags: the pattern holds its (?mods) already */
    bool captures;             /* has named groups that become tags */
    bool is_template;          /* holds %{NAME} */
    struct span fn;            /* evals */
    struct span *args;
    size_t nargs;
    struct detail_test *details; /* RULE_URI_DETAIL */
    size_t ndetails;
    struct span expr; /* RULE_META: rules_matching() replaced */
    /* RULE_META, once it is compiled: how many of the rules it names look at the header, and at the
     * body (rules/autolearn.c). */
    bool sides_known;
    uint16_t heads, bodies;

    bool scored; /* some score line names it */
    double score[SCORE_SETS];
    struct conf_at score_at;
    const char *describe; /* NULL: none */
    struct span subjprefix;
    struct span tflags_text;
    unsigned tflags;               /* of enum rule_tflag */
    unsigned maxhits;              /* 0: not given */
    unsigned range_from, range_to; /* mimeheader; range_to 0: not given */
    int priority;
    bool priority_set;
    uint8_t shortcircuit; /* of enum shortcircuit_type */
};

/* --- lists --- */

/* enlist_uri_host, blocklist_uri_host (BLOCK), welcomelist_uri_host (WELCOME): host or parent
 * domain, lower case -> URI_HOST_YES or URI_HOST_NO. */
#define URI_HOST_YES ((void *)(intptr_t)1)
#define URI_HOST_NO  ((void *)(intptr_t)2)
struct uri_host_list {
    struct map hosts;
};

/* For each list with a def_ twin: [0] is the site's, [1] the default one. */
enum { LIST_OWN, LIST_DEF, LIST_KINDS };

struct conf_lists {
    struct globs welcome_from, block_from; /* (un)welcomelist_from, (un)blocklist_from */
    struct globs welcome_to, more_spam_to, all_spam_to, block_to;
    struct globs welcome_from_rcvd[LIST_KINDS]; /* arg: domain, "[ip]", "[ip/len]" */
    struct globs allows_relays;
    struct globs welcome_auth[LIST_KINDS];
    struct globs welcome_from_dkim[LIST_KINDS]; /* arg: signing domain, absent: the author's */
    struct globs welcome_from_spf[LIST_KINDS];
    struct globs welcome_subject, block_subject; /* unanchored, against the lower-cased subject */
    struct globs bounce_relays;                  /* welcomelist_bounce_relays */
    struct map addrlists;                        /* LIST -> struct globs * */
    struct map uri_hosts;                        /* LIST -> struct uri_host_list * */
};

struct conf_freemail {
    struct map domains;     /* exact, lower case */
    struct span *wildcards; /* "yahoo.*": * is [^.]*, ? is any char; lower case */
    size_t nwildcards, wildcards_cap;
    struct map welcome; /* freemail_welcomelist: addresses and domains, lower case */
    unsigned max_body_emails, max_body_freemails; /* 5, 3 */
    bool skip_when_over_max, skip_bulk_envfrom;   /* true, true */
    bool import_welcome_auth, import_def_welcome_auth;
};

/* --- headers and report --- */

enum header_when { HEADERS_SPAM = 1, HEADERS_HAM = 2 };
struct conf_header {
    enum header_when when;
    struct span name; /* without X-Spam- */
    struct span text; /* template with _TAGS_ */
};

struct conf_report {
    struct span report, unsafe_report; /* templates, lines end in LF */
    struct conf_header *headers; /* add_header in order, clear_headers and remove_header done */
    size_t nheaders, headers_cap;
    struct span rewrite_subject, rewrite_from, rewrite_to; /* absent: no */
    int report_safe;                                       /* 1 */
    unsigned wrap_width;                                   /* 75 */
    struct span contact, hostname;                         /* hostname may be absent */
    struct span charset;
    bool fold_headers;
    struct span *safe_copy_headers;
    size_t nsafe_copy;
};

/* --- Bayes --- */

struct conf_bayes {
    bool use_learner, use_bayes, use_rules, auto_learn;
    double threshold_nonspam, threshold_spam; /* 0.1, 12.0 */
    struct map ignore_headers;                /* lower case */
    struct globs ignore_from, ignore_to;
    struct map stopwords; /* language -> (struct span *) regex */
    struct span stopword_languages;
    unsigned min_ham, min_spam; /* 200 */
    unsigned max_token_length;
    struct span path; /* absent: default */
};

/* --- everything else --- */

/* A line of a directive that is kept as it is for its later user (DNS lists, askdns, uridnssub,
 * adsp_override, url_shortener, ...). */
struct conf_line {
    struct span value;
    struct conf_at at;
};
struct conf_lines {
    struct conf_line *v;
    size_t n, cap;
};

struct conf_problem {
    struct conf_at at;
    const char *text;
};

struct conf_state;

/* What preferences change of the rule files they stand on. */
enum conf_touch {
    TOUCH_RULES = 1 << 0,     /* scores, descriptions, definitions */
    TOUCH_LISTS = 1 << 1,     /* of addresses, hosts, subjects */
    TOUCH_REPORT = 1 << 2,    /* what is written about a message; required_score */
    TOUCH_LOCALES = 1 << 3,   /* ok_locales */
    TOUCH_LANGUAGES = 1 << 4, /* ok_languages */
    TOUCH_LEARNING = 1 << 5,  /* nothing that a hit depends on */
    TOUCH_ALL = 1 << 6        /* how a message is read */
};

enum { REDIRECTOR_PAIRS = 7, REDIRECTOR_RUNS = 4 };

struct conf {
    struct arena *arena;
    struct conf_state *state; /* of the reader */
    const struct conf *under; /* the rule files, when this is preferences on top of them */
    unsigned touched;         /* of enum conf_touch */
    bool own_rules;           /* rules is a copy of the array underneath */
    bool own_required;        /* required_score was given */
    bool user_rules;          /* preferences may define rules */

    struct rule_def **rules; /* in order of first mention */
    size_t nrules, rules_cap;
    struct map by_name;

    struct conf_lists lists;
    struct conf_freemail freemail;
    struct conf_report report;
    struct conf_bayes bayes;
    struct uri_tables uri;
    struct relays_settings relays;

    struct redirector {
        struct span pattern, mods;
        struct regex *regex; /* made by conf_finish */
        struct conf_at at;
        struct redirector_pairs { /* of letters: all of one of them stand in what it matches */
            uint16_t v[REDIRECTOR_PAIRS];
            uint16_t n;
        } needs[REDIRECTOR_RUNS];
        size_t nneeds; /* 0: nothing is known */
    } * redirectors;
    size_t nredirectors, redirectors_cap;

    double required_score;                /* 5 */
    struct span ok_locales, ok_languages; /* "all"; absent */
    bool normalize_charset, parse_dkim_uris;
    bool always_trust_envelope_sender;
    struct span envelope_sender_header; /* absent: guessed */
    size_t body_part_scan_size, rawbody_part_scan_size;
    double time_limit; /* seconds */

    struct map plugins; /* loaded: "Mail::SpamAssassin::Plugin::Bayes" */
    struct map lines;   /* directive -> struct conf_lines *: what has no field above */
    struct span version_tags;

    struct conf_file {
        const char *path;
        unsigned lines, directives;
    } * files; /* as read */
    size_t nfiles, files_cap;
    struct conf_problem *problems;
    size_t nproblems, problems_cap;
};

struct conf_options {
    const char *const *dirs; /* rule directories, in order; the .pre of site_dir come first */
    size_t ndirs;
    const char *site_dir;     /* NULL: none */
    const char *const *extra; /* more files, read last: user preferences */
    size_t nextra;
    const char *language; /* NULL: from the environment (semantics 2.2) */
    bool local_only;
    const struct rules_settings *settings; /* networks; may be NULL */
};

/* Reads all files. NULL only when no rule directory can be read. */
struct conf *conf_read(struct arena *a, const struct conf_options *o, struct err *e);

/* Parses a text as if it were a file of that name (tests, fuzzing, user preferences from elsewhere)
 * into c, which conf_new made. conf_finish does what needs all lines: default scores,
 * rules_matching, replace tags, redirectors, networks. */
struct conf *conf_new(struct arena *a, const struct conf_options *o);
void conf_text(struct conf *c, const char *file, struct span text);
void conf_finish(struct conf *c);

/* Preferences on top of finished rule files, which must outlive them. Lines come by conf_text: what
 * a user may not say is a problem (semantics 2.8). conf_finish_over at the end. */
struct conf *conf_over(struct arena *a, const struct conf *under);
void conf_finish_over(struct conf *c);

const struct rule_def *conf_rule(const struct conf *c, struct span name);
bool conf_plugin(const struct conf *c, const char *name); /* "Bayes": loaded? */

/* Lines of a directive without a field of its own, in order; NULL when there are none. The last
 * value of a setting, or dflt. */
const struct conf_lines *conf_lines(const struct conf *c, const char *directive);
struct span conf_value(const struct conf *c, const char *directive, struct span dflt);
bool conf_bool(const struct conf *c, const char *directive, bool dflt);
double conf_number(const struct conf *c, const char *directive, double dflt);

void conf_problem(struct conf *c, struct conf_at at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif

/* Facts: what the analysers found out about one message. Each analyser fills its own slot and reads
 * nothing but the message; the verdict reads all of them. Everything lives in the message's arena.
 */
#ifndef GATEHOUSE_MESSAGE_FACTS_H
#define GATEHOUSE_MESSAGE_FACTS_H

#include "base/arena.h"

/* A rule that hit. */
struct rule_hit {
    const char *name;
    double score;         /* of all its hits together */
    const char *area;     /* "BODY: ", "RAW: ", "URI: " or "" (as in SpamAssassin's report) */
    const char *describe; /* never NULL */
    struct span evidence; /* bytes that matched, at most 200, or absent */
    unsigned count;       /* >1 for tflags multiple */
};

struct rules_facts {
    bool ran;
    double score, required;
    struct rule_hit *hits; /* visible rules, in order of occurrence */
    size_t nhits, hits_cap;
    const char **subrules; /* __NAMES that hit, each once, sorted */
    size_t nsubrules;
    struct span preview;   /* SpamAssassin's content preview, for the report */
    struct span report;    /* rendered X-Spam-Report text (tag _REPORT_), unfolded lines */
    const char *autolearn; /* "no", "unavailable"... */
    const char *version;   /* "4.0.1": the behaviour that is followed */
};

enum virus_state {
    VIRUS_NOT_RUN,
    VIRUS_CLEAN,
    VIRUS_FOUND,
    VIRUS_ERROR,
    VIRUS_NO_ENGINE,
    VIRUS_TOO_LARGE,
    VIRUS_ENCRYPTED
};

struct virus_facts {
    enum virus_state state;
    struct span name;   /* signature, when found */
    struct span engine; /* "clamd 1.4.6/27000" */
    struct span detail; /* why, when in error */
};

/* A check that did not run or did not finish: which, why. Never silent. */
struct skipped {
    const char *check; /* "virus", "rules", "rules/NAME" */
    struct span why;
};

/* Anything else worth telling: "mime.boundary.duplicate" = "2". */
struct fact {
    const char *name;
    struct span value;
};

struct facts {
    struct rules_facts rules;
    struct virus_facts virus;
    struct skipped *skipped;
    size_t nskipped, skipped_cap;
    struct fact *facts;
    size_t nfacts, facts_cap;
    bool high_8bit_header; /* unencoded 8-bit bytes in the header: needs SMTPUTF8 or care onward */
};

void facts_add(struct facts *f, struct arena *a, const char *name, struct span value);
void facts_skip(struct facts *f, struct arena *a, const char *check, struct span why);

#endif

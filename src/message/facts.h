/* Facts: what the analysers found out about one message. Each analyser fills its own slot and reads
 * nothing but the message; the verdict reads all of them. Everything lives in the message's arena.
 */
#ifndef GATEHOUSE_MESSAGE_FACTS_H
#define GATEHOUSE_MESSAGE_FACTS_H

#include "base/arena.h"
#include "base/clock.h"
#include "config/settings.h"

/* A rule that hit. */
struct rule_hit {
    const char *name;
    double score;         /* of all its hits together */
    const char *area;     /* "BODY: ", "RAW: ", "URI: " or "" (as in SpamAssassin's report) */
    const char *describe; /* never NULL */
    struct span evidence; /* bytes that matched, at most 200, or absent */
    unsigned count;       /* >1 for tflags multiple */
    struct span log;      /* what the function found, for reports ("score: 0.9999"); or absent */
};

struct hit; /* of the rules' own */

struct rules_facts {
    bool ran;
    double score, required;
    struct rule_hit *hits; /* visible rules, in order of occurrence */
    size_t nhits, hits_cap;
    const struct hit *all; /* these and the sub-rules, for rules_why */
    size_t nall;
    const char **subrules; /* __NAMES that hit, each once, sorted */
    size_t nsubrules;
    struct span subject_prefix; /* of the rules that hit (subjprefix): "[A] [B] ", a template */
    const struct span *body;    /* as rules saw it, the subject first: for previews */
    size_t nbody;
    const char *autolearn; /* "no", "unavailable"... */
    char learn;            /* auto-learning takes it for 's' (spam), 'h' (ham); 0: neither */
    const char *version;   /* "4.0.1": the behaviour that is followed */
};

/* The rules' answer under the preferences of somebody (rules/prefs.h): other scores, lists,
 * headers. Recipients with the same preferences share one. */
struct conf;
struct message;
struct opinion {
    /* The rule files with the preferences on top, for headers and reports; valid until the next
     * message is judged. */
    const struct conf *conf;
    struct message *message; /* the message with these facts: for templates in headers */
    struct rules_facts rules;
    bool own_required; /* the preferences name a threshold: it counts instead of the policy's */
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

/* A part in which the engine finds something when it is asked about that alone. */
struct virus_part {
    uint32_t number; /* as policies count them (policy/parts.h) */
    bool sealed;     /* within a signature or encryption */
    struct span name;
};

struct virus_facts {
    enum virus_state state;
    struct span name;   /* signature, when found */
    struct span engine; /* "clamd 1.4.6/27000" */
    struct span detail; /* why, when in error */
    /* Of an infected message that might be cleaned; by number. */
    struct virus_part *parts;
    size_t nparts;
    bool cleanable;          /* without these parts the engine finds nothing */
    struct span uncleanable; /* why not; absent: it was not tried */
};

/* --- Sender authentication (room auth). Spans are of strangers' making unless told otherwise:
 * names of domains are lower case and hold what the checks let through, texts may hold anything.
 * --- */

/* RFC 7208 section 2.6; also of RFC 4407's PRA. */
enum spf_result {
    SPF_NOT_RUN,
    SPF_NONE,
    SPF_NEUTRAL,
    SPF_PASS,
    SPF_FAIL,
    SPF_SOFTFAIL,
    SPF_TEMPERROR,
    SPF_PERMERROR
};

struct spf_fact {
    enum spf_result result;
    struct span domain; /* the <domain> that was checked */
    struct span sender; /* the <sender>: local@domain; postmaster@ where none was given */
    struct span
        mechanism; /* that decided, as written; "default" when none matched; absent on errors */
    struct span explanation; /* of a fail: exp= (printable ASCII), or absent */
    struct span why;         /* of an error or none, our words */
    unsigned lookups;        /* DNS terms that were evaluated */
};

/* RFC 8601 section 2.7.1. DKIM_POLICY: signed well enough to verify, but against our rules (weak
 * key, l= shorter than the body, From not signed). */
enum dkim_result {
    DKIM_NONE,
    DKIM_PASS,
    DKIM_FAIL,
    DKIM_POLICY,
    DKIM_NEUTRAL,
    DKIM_TEMPERROR,
    DKIM_PERMERROR
};

/* One signature (DKIM-Signature, or RFC 4870's DomainKey-Signature), from the top of the header
 * down.
 */
struct dkim_fact {
    enum dkim_result result;
    struct span domain;      /* d=, lower case, A-labels */
    struct span identity;    /* i=, or "@" domain */
    struct span selector;    /* s= */
    struct span tag_b;       /* first 8 characters of b=, for header.b (RFC 6008) */
    struct span algorithm;   /* a=: "rsa-sha256" */
    struct span why;         /* not pass: why; our words */
    unsigned bits;           /* of the key; 0 when it was not seen */
    usec signed_at, expires; /* t=, x= as wall time; 0 when not given */
    bool domainkeys;         /* RFC 4870: never counts for DMARC */
    bool author;             /* d= is the domain of the From field, or the i= domain is (exactly) */
    bool verified;           /* the mathematics hold, whatever our rules say of the rest */
    bool body_limited;       /* l= leaves some of the body unsigned */
    bool from_unsigned; /* a From field stands in the message that the signature does not cover */
    bool testing;       /* t=y in the key */
};

enum arc_result { ARC_NOT_RUN, ARC_NONE, ARC_PASS, ARC_FAIL };

struct arc_fact {
    enum arc_result result;
    unsigned instances; /* sets in the chain */
    struct span
        *sealers; /* d= of each ARC-Seal, i=1 first; nsealers == instances when the form is good */
    size_t nsealers;
    struct span trusted; /* the sealer (arc.trusted_sealers) whose word is taken, or absent */
    struct span results; /* what that sealer saw: the value of its ARC-Authentication-Results */
    struct span why;     /* of a fail */
};

enum dmarc_result {
    DMARC_NOT_RUN,
    DMARC_NONE, /* no record, or nothing to check */
    DMARC_PASS,
    DMARC_FAIL,
    DMARC_TEMPERROR,
    DMARC_PERMERROR
};
enum dmarc_policy { DMARC_POLICY_NONE, DMARC_POLICY_QUARANTINE, DMARC_POLICY_REJECT };

struct dmarc_fact {
    enum dmarc_result result;
    struct span domain;        /* of the From field: the one that is shown */
    struct span organisation;  /* organisational domain of it */
    struct span record_domain; /* whose record holds (domain or organisation), or absent */
    struct span record;        /* its text */
    enum dmarc_policy policy;  /* that the record asks for this message (p=, sp= or np=) */
    enum dmarc_policy
        disposition;      /* what is left of it: NONE on pass; after pct=, t=y, overrides */
    const char *override; /* why disposition is not policy: "sampled_out", "policy_test_mode",
                             "trusted_forwarder", "local_policy"; NULL when it is */
    bool spf_aligned, dkim_aligned; /* passes that are aligned */
    struct span dkim_domain;        /* d= of the aligned pass */
    unsigned from_count;            /* addresses that a reader may be shown as the author's */
    bool bad_from;   /* no author can be told with certainty: policy dmarc.on_bad_from */
    struct span why; /* in words, for a log and a reply */
};

/* What the settings say about all this: OUT_ACCEPT when nothing is to be done. */
struct auth_order {
    enum outcome outcome;
    const char *reason; /* "DMARC", "SPF", "From field" */
    struct span detail; /* for the reply and the receipt */
};

struct auth_facts {
    bool ran; /* false: not asked for, or mail of our own users */
    struct spf_fact helo, mailfrom, pra;
    struct dkim_fact *dkim;
    size_t ndkim, dkim_cap;
    struct arc_fact arc;
    struct dmarc_fact dmarc;
    struct auth_order order;
};

/* The words of RFC 8601: "softfail", "pass", "none"... */
const char *spf_result_name(enum spf_result r);
const char *dkim_result_name(enum dkim_result r);
const char *arc_result_name(enum arc_result r);
const char *dmarc_result_name(enum dmarc_result r);
const char *dmarc_policy_name(enum dmarc_policy p);
/* The result SPF has for DMARC and for readers: MAIL FROM's, or HELO's when the reverse-path is
 * null. */
const struct spf_fact *spf_main(const struct auth_facts *f);

/* --- Digests: who else has seen the message (room digests) --- */

enum digest_state {
    DIGEST_NOT_ASKED, /* off, or nothing to ask about */
    DIGEST_ANSWERED,
    DIGEST_UNAVAILABLE /* why tells */
};

enum { DIGEST_WHY_SIZE = 160 };

/* Sums over all servers that answered. */
struct pyzor_fact {
    enum digest_state state;
    char digest[41];         /* SHA-1 in hexadecimal; "" when it was not made */
    uint64_t count, welcome; /* reported as spam; reported as wanted */
    char why[DIGEST_WHY_SIZE];
};

enum { DCC_MANY = 999999 };

struct dcc_fact {
    enum digest_state state;
    char brand[64], metrics[256]; /* of the X-DCC-BRAND-Metrics field; printable ASCII */
    int64_t body, fuz1, fuz2;     /* recipients of messages with this checksum; -1: not told */
    int64_t reputation;           /* percent of bulk mail from the sender; -1: not told */
    char why[DIGEST_WHY_SIZE];
};

enum { RAZOR_ENGINE_MAX = 8 };

struct razor_fact {
    enum digest_state state;
    bool spam;                            /* some part not contested reaches the threshold */
    int confidence[RAZOR_ENGINE_MAX + 1]; /* by engine (4, 8): highest of parts not contested,
                                             0 to 100 */
    char why[DIGEST_WHY_SIZE];
};

struct digest_facts {
    struct pyzor_fact pyzor;
    struct dcc_fact dcc;
    struct razor_fact razor;
    const char *failed; /* the first that did not answer and whose setting stops the message for
                           it: "Pyzor does not answer"; NULL: none */
    enum on_fail on_failed;
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
    struct auth_facts auth;
    struct digest_facts digests;
    struct skipped *skipped;
    size_t nskipped, skipped_cap;
    struct fact *facts;
    size_t nfacts, facts_cap;
    bool high_8bit_header; /* unencoded 8-bit bytes in the header: needs SMTPUTF8 or care onward */
};

void facts_add(struct facts *f, struct arena *a, const char *name, struct span value);
void facts_skip(struct facts *f, struct arena *a, const char *check, struct span why);

#endif

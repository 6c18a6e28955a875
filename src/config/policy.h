/* Policies as they stand in the settings: what mail they mean, and what is done with it.
 *
 * They are gone through in order, for each recipient. The first one whose conditions all hold is
 * taken; one with `continue` only adds its actions, and the search goes on. What is said here is
 * text; policy/policy.h compiles and evaluates it.
 *
 * Patterns (type SET_PATTERNS): a glob with * and ?, ASCII case folded, or "/regex/flags" (PCRE2;
 * flags i, s, m, x). A list matches when any pattern does, or when there are only patterns with a
 * '!' in front; and none with a '!' may match. */
#ifndef GATEHOUSE_CONFIG_POLICY_H
#define GATEHOUSE_CONFIG_POLICY_H

#include "config/lists.h"

enum outcome { OUT_ACCEPT, OUT_TAG, OUT_CLEAN, OUT_HOLD, OUT_REJECT, OUT_DEFER, OUT_DISCARD };
enum header_style { HEADERS_SPAMASSASSIN, HEADERS_MIMEDEFANG, HEADERS_NONE };
enum whether { WHETHER_ANY, WHETHER_NO, WHETHER_YES };

/* A part of the message is meant when all that is given holds. */
struct part_test {
    bool given;
    struct strings name;    /* patterns over each name that a mail program could show */
    struct strings type;    /* globs over the declared type */
    struct strings content; /* globs over the type that the bytes tell (libmagic) */
    struct strings members; /* patterns over the names of files in an archive */
    struct range size;      /* decoded bytes */
    enum whether encrypted; /* an encrypted archive, PDF, office file, or encrypted mail */
};

/* One header field. */
struct header_test {
    const char *name;
    enum whether present;    /* ANY: patterns are given */
    struct strings patterns; /* over the decoded value of each instance; any may match */
};

struct header_tests {
    struct header_test *v;
    size_t n;
};

/* Results of authentication, in the words of RFC 8601: "fail", "softfail", "none". Each that is
 * given must hold; of the words of one, any. */
struct auth_test {
    struct strings spf, dkim, dmarc, arc;
    struct strings dkim_domain; /* of a signature that passes */
};

enum action_kind {
    ACTION_ACCEPT,
    ACTION_TAG,
    ACTION_HOLD,
    ACTION_REJECT,
    ACTION_DEFER,
    ACTION_DISCARD,
    ACTION_ADD_HEADER,
    ACTION_CHANGE_HEADER,
    ACTION_DELETE_HEADER,
    ACTION_SUBJECT_PREFIX,
    ACTION_DROP_PART,
    ACTION_REPLACE_PART,
    ACTION_LINK_PART,
    ACTION_RENAME_PART,
    ACTION_QUARANTINE_PART,
    ACTION_CLEAN,
    ACTION_ADD_DISCLAIMER,
    ACTION_ADD_RECIPIENT,
    ACTION_DELETE_RECIPIENT,
    ACTION_REDIRECT,
    ACTION_CHANGE_SENDER,
    ACTION_NOTIFY,
    ACTION_COPY,
    ACTION_KEEP,
    ACTION_KINDS
};

/* One thing to do. Texts may hold _TAGS_ (action/tags.h). */
struct policy_action {
    enum action_kind kind;
    const char *text;    /* reply ("550 5.7.1 ..."), header value, prefix, replacement, new name */
    const char *name;    /* of a header field */
    const char *html;    /* of a disclaimer */
    const char *subject; /* of a notice */
    struct strings to;   /* addresses */
    uint32_t nth;        /* instance of the field, from 1; 0: all */
    uint32_t part;       /* which part of the message, counted from 1; 0: those that matched */
    const char *by;      /* the callback of a script that asked for it; NULL: not told */
};

struct policy_actions {
    struct policy_action *v;
    size_t n;
};

struct policy {
    const char *name;
    /* Conditions; empty ones match everything. */
    struct strings recipients, senders; /* address, @domain, .domain (and below), glob, /regex/ */
    struct cidrs clients;
    struct strings listeners;
    struct strings direction; /* "inbound", "outbound", "internal" */
    struct strings client_names, helo, users;
    struct range size, score;
    struct strings rules; /* names of rules that hit */
    struct strings virus; /* names of what was found */
    struct part_test parts;
    struct header_tests header;
    struct auth_test auth;
    /* What is done, in order. Not lent by the default policy. */
    bool go_on; /* `continue` */
    bool touch_signed;
    struct policy_actions actions;
    /* Consequences; unset ones are taken from the built-in default policy at load. */
    bool scan; /* false: neither rules nor virus engines */
    double required_score, reject_score;
    enum outcome on_spam;      /* score >= required_score; default tag */
    enum outcome on_high_spam; /* score >= reject_score; default reject */
    enum outcome on_virus;     /* default reject */
    enum header_style headers;
    const char *subject_tag; /* "[SPAM] "; NULL: none. May hold _SCORE_ and _REQD_ */
    bool report_header;      /* X-Spam-Report */
};

struct policies {
    struct policy *v; /* the last one is the default policy and matches everything */
    size_t n;
};

/* Whether it has no condition at all. */
bool policy_is_open(const struct policy *p);

/* Whether the action decides what becomes of the message. */
static inline bool action_decides(enum action_kind k)
{
    return k <= ACTION_DISCARD && k != ACTION_TAG;
}
static inline bool action_on_part(enum action_kind k)
{
    return k >= ACTION_DROP_PART && k <= ACTION_QUARANTINE_PART;
}
/* "reject", "add_header": as it is written. */
const char *action_name(enum action_kind k);
/* The text that it has when none is given; or NULL. */
const char *action_default(enum action_kind k);

#endif

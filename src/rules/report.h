/* What SpamAssassin writes about a message it judged: tags, X-Spam-* headers, the report, the
 * wrapped message (semantics 10.2). Text is made from the message and its facts after rules_run;
 * nothing here changes either. Results live in the arena, line ends are LF, and lines of a header
 * are folded with LF TAB as SpamAssassin folds them; whoever puts them into a message with CRLF
 * converts them. */
#ifndef GATEHOUSE_RULES_REPORT_H
#define GATEHOUSE_RULES_REPORT_H

#include "message/message.h"
#include "mime/splice.h"
#include "rules/ruleset.h"

struct conf;

/* What a report speaks about. The score and the verdict are the caller's, because a policy may ask
 * for another threshold than the rule files. */
struct report_on {
    const struct conf *conf;         /* ruleset_conf(rs) */
    const struct message *m;         /* judged */
    const struct rules_facts *facts; /* m->facts.rules, or an opinion's; facts->ran */
    struct arena *arena;             /* where results go; the message's or a scratch one */
    const char *hostname;            /* NULL: conf's report_hostname, else gethostname */
    double score, required;
    bool spam;
};
/* score, required and spam as the rules said. */
struct report_on report_on(const struct conf *conf, const struct message *m, struct arena *a);
/* The same under somebody's preferences. */
struct report_on report_on_opinion(const struct opinion *o, const struct message *m,
                                   struct arena *a);

/* One header field: name "X-Spam-Status", value folded, without final LF. */
struct report_header {
    struct span name, value;
};
/* The headers that the rule files ask for (add_header lines; SpamAssassin's defaults when there are
 * none): X-Spam-Checker-Version, X-Spam-Flag (spam only), X-Spam-Level, X-Spam-Status and what else
 * is configured, in order. */
struct report_header *report_headers(const struct report_on *r, size_t *n);
/* The same as text: "Name: value LF" for each. */
struct span report_header_text(const struct report_on *r);

/* Single values, unfolded. Status: "Yes, score=7.1 required=5.0 tests=A,B autolearn=no
 * version=4.0.1". Level: one star a point, at most 50. Score: "7.1" as shown (a score that rounds
 * up to the threshold without being spam is shown 0.1 below it). */
struct span report_status(const struct report_on *r);
struct span report_level(const struct report_on *r);
struct span report_score(const struct report_on *r);
/* MIMEDefang's X-Spam-Score: "8.039 (********) RULE,RULE": three decimals, names of the hits. */
struct span report_mimedefang(const struct report_on *r);
/* Folds "NAME: value" as SpamAssassin does (79 columns, after white space or a comma, LF TAB). */
struct span report_fold(struct arena *a, struct span name, struct span value);

/* The report template filled in, as `spamassassin -t` prints it after the message. */
struct span report_text(const struct report_on *r);
/* _SUMMARY_ (the table of points) and _REPORT_ (the "* " lines of X-Spam-Report). */
struct span report_summary(const struct report_on *r);
struct span report_lines(const struct report_on *r);

/* What `rewrite_header Subject` puts in front of the subject of spam, filled in, with its space;
 * absent: nothing. */
struct span report_subject_tag(const struct report_on *r);
/* What the rules that hit put in front of any subject (subjprefix): the same way. */
struct span report_subject_prefix(const struct report_on *r);
/* The comment that `rewrite_header From` (or To) puts in front of the addresses of spam: "(text)";
 * absent: none. Ends where it should, whatever the values of tags hold. */
struct span report_comment(const struct report_on *r, struct span field);

/* Replaces the _TAGS_ of a template; unknown ones stay as they are. */
struct span report_expand(const struct report_on *r, struct span template);

/* The message in SpamAssassin's wrapping (report_safe 1 or 2): a new message that holds the report
 * and the original, in the line ends of the original. boundary_seed: random bits for the boundary.
 */
struct span report_safe(const struct report_on *r, int report_safe, uint64_t boundary_seed);
/* What SpamAssassin makes of the message, as edits: wrapped when it is spam and report_safe is on,
 * else marked. false when its header is larger than header_max bytes: then there are none. */
bool report_rewrite(const struct report_on *r, uint64_t boundary_seed, size_t header_max,
                    struct splices *out);
/* The message with new X-Spam-* headers in front and old ones gone (report_safe 0, or ham). */
struct span report_marked(const struct report_on *r);

/* What auto-learning makes of a judged message (semantics 9.3). score_set: the one in force. */
struct autolearn {
    bool off;
    char what;  /* 's' (spam), 'h' (ham); 0: neither */
    bool force; /* by a rule with autolearn_force */
};
struct autolearn report_autolearn(const struct conf *conf, unsigned score_set,
                                  const struct rules_facts *facts, struct arena *scratch);
/* As _AUTOLEARN_ shows it: "no autolearn_force=no", "spam autolearn_force=no", "disabled"; what
 * could not be learned (!done) is "unavailable". */
const char *report_autolearn_text(const struct autolearn *l, bool done);

/* About 200 characters of the body (elements 1 to 3), as _PREVIEW_ shows them. */
struct span report_preview(struct arena *a, const struct span *body, size_t n);

#endif

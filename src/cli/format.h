/* A judged message as text, JSON, a line of tab-separated fields, or the message itself with its
 * edits. */
#ifndef GATEHOUSE_CLI_FORMAT_H
#define GATEHOUSE_CLI_FORMAT_H

#include "base/buf.h"
#include "cli/source.h"
#include "rules/ruleset.h"
#include "verdict/verdict.h"

enum scan_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_TSV, FORMAT_MESSAGE };

struct judged {
    const struct settings *set;
    const struct ruleset *rules; /* NULL: none */
    const struct item *item;
    const struct message *m;
    const struct verdict *verdict;
    uint64_t micros;
};

/* mailbox: several messages are written, so each begins with a "From " line. */
void format_judged(struct buf *out, enum scan_format f, const struct judged *j, bool mailbox);
/* A message that could not be judged, in the same form (nothing for text and message). */
void format_failure(struct buf *out, enum scan_format f, const char *name, const char *why);

/* A score as Perl prints a number of three decimals: "0", "2.639", "-1.5". */
enum { SCORE_TEXT_SIZE = 32 };
char *score_text(double score, char out[SCORE_TEXT_SIZE]);

#endif

/* What the files of the report share. Room-private. */
#ifndef GATEHOUSE_RULES_REPORT_PRIVATE_H
#define GATEHOUSE_RULES_REPORT_PRIVATE_H

#include "base/buf.h"
#include "rules/conf.h"
#include "rules/context.h"
#include "rules/report.h"
#include "rules/report_wrap.h"

/* The behaviour that is followed. */
#define SA_VERSION     "4.0.1"
#define SA_SUB_VERSION "2024-03-25"

/* The machine as reports name it. */
struct span report_host(const struct report_on *r);
/* Names of the hits joined by sep, each as often as it hit; sorted or in order. "none" when none.
 */
struct span report_names(const struct report_on *r, struct span sep, bool sorted, bool scores);
/* The bytes of b in the arena; frees b. */
struct span report_take(struct arena *a, struct buf *b);
/* At the end of rules_run: what reports need of the text, and autolearn. */
void report_facts(struct rules_ctx *c);
/* How many of the rules that a meta names look at the header, and at the body. */
struct meta;
void autolearn_sides(const struct conf *conf, const struct meta *m, uint16_t *head, uint16_t *body);
/* A template's value in a header: expanded, folded, encoded. */
struct span report_header_value(const struct report_on *r, struct span name, struct span text);

#endif

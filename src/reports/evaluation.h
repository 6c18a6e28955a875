/* What a message leaves for reports, made where it was judged: its row in the report about its
 * author's domain, and, when it came to reports.inbox, the reports that it brings. */
#ifndef GATEHOUSE_REPORTS_EVALUATION_H
#define GATEHOUSE_REPORTS_EVALUATION_H

#include "reports/item.h"
#include "verdict/verdict.h"

/* Items (reports/item.h) for the message, in its arena; absent when there is nothing. */
struct span evaluation_items(const struct settings *set, const struct message *m,
                             const struct verdict *v, struct arena *a);

/* The row alone: a report with one row. false: none is due, because
 *   - DMARC was not evaluated, or the author's domain has no record;
 *   - the message is not taken now (it comes again);
 *   - it went to reports.inbox or reports.from: reports about reports, and about their bounces,
 *     would never end. */
bool evaluation_row(const struct settings *set, const struct message *m, const struct verdict *v,
                    struct arena *a, struct agg_report *out);

#endif

/* Takes off what a filter has written into a message, so that it is learned as it came (as
 * SpamAssassin's -d): the original out of a report (report_safe), X-Spam-* fields, a subject
 * prefix. */
#ifndef GATEHOUSE_LEARN_UNMARK_H
#define GATEHOUSE_LEARN_UNMARK_H

#include "base/arena.h"

/* raw itself when no X-Spam-Checker-Version stands in it. prefix: the subject's, or absent. */
struct span unmark(struct arena *a, struct span raw, struct span prefix);

#endif

/* Recipients with preferences get an answer of their own from the rules. */
#ifndef GATEHOUSE_FLOW_OPINIONS_H
#define GATEHOUSE_FLOW_OPINIONS_H

#include "prefs/prefs.h"

/* Preferences by recipient, in the message's arena; NULL entries have none. */
struct opinions_wanted {
    const struct rules_prefs **v;
    size_t n; /* 0: nobody has any */
};

/* Reads what m's recipients (or m->user) prefer. p may be NULL. What can't be read is a skipped
 * check "preferences"; false: it must not be judged without (facts.skipped has "rules"). */
bool opinions_gather(struct prefs *p, struct message *m, struct opinions_wanted *out);
/* The same preferences for everybody. */
struct opinions_wanted opinions_for_all(struct message *m, const struct rules_prefs *prefs);

/* After rules_judge with rules_scratch_keep: fills m->opinions. Where all recipients agree, the
 * message's own facts become theirs. original: the bytes without our trace field, for reports. */
void opinions_make(struct rules_scratch *s, struct message *m, const struct opinions_wanted *w,
                   struct span original);

#endif

/* Tags in the texts of actions: _ID_, _POLICY_, _NAME_ ... as SpamAssassin's templates have them.
 * Room-private. */
#ifndef GATEHOUSE_ACTION_TAGS_H
#define GATEHOUSE_ACTION_TAGS_H

#include "action/action.h"

struct tags_on {
    const struct settings *set; /* NULL: no _HOSTNAME_ */
    const struct message *m;
    const struct decision *d;
    const struct policy *policy;
    const struct part_facts *part; /* NULL: no _NAME_, _TYPE_ */
};

/* The text with its tags filled in, in the arena; other words between underscores stay. What comes
 * from a stranger has lost its control characters, and is cut at 1000 bytes a tag. */
struct span tags_expand(const struct tags_on *on, struct span text, struct arena *a);

#endif

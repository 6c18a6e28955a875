/* What becomes of each part of a message. Room-private.
 *
 * The first action that means a part has it. What lies inside a part that goes, goes with it; a
 * part without a place of its own (inside an encoded message/rfc822) takes the part around it
 * along. Signed and encrypted parts stay as they are unless the policy says touch_signed. */
#ifndef GATEHOUSE_ACTION_PART_PLAN_H
#define GATEHOUSE_ACTION_PART_PLAN_H

#include "action/header_plan.h"
#include "action/tags.h"

enum part_fate_kind { PART_STAYS, PART_DROPPED, PART_REPLACED, PART_RENAMED };

struct part_fate {
    enum part_fate_kind kind;
    const struct policy *policy;
    struct span text; /* replacement or new name, tags filled in */
};

struct part_plan {
    const struct tags_on *on;
    struct parts *parts;
    struct arena *arena;
    struct part_fate *v; /* one for each part */
    bool removes;        /* something is taken out: the original is to be kept */
};

/* The fates that the policies of the decision give. d->parts must be there. */
struct part_plan part_plan_of(const struct tags_on *on, struct arena *a);
/* The splices; header: of the message itself, for a message that is one part. */
void part_plan_emit(struct part_plan *p, struct header_plan *header, struct splices *out);

/* disclaimer.c: appends to the text and the HTML of the message what its policies want, one below
 * the other; the same text only once. A message with neither gets a part with the text. Parts that
 * the plan changes are left out. */
void disclaimers(const struct part_plan *p, struct header_plan *header, struct splices *out);

/* Headers "Name: value" of the part: put in, in place of those of the same names. */
void part_set_header(const struct part_plan *p, const struct part_facts *part, const char *name,
                     struct span value, struct header_plan *header, struct splices *out);
/* A text as a part: its header, the blank line, the text, with CRLF. */
void part_text(struct buf *b, struct span text);
/* Whether a field tells what the body is, and so goes where the body goes; deleting those. */
bool part_tells_body(const struct mime_field *f);
void part_drop_fields(const struct part_plan *p, const struct part_facts *part,
                      struct header_plan *header, struct splices *out);
/* text_part.c: the text as a part of its own, at the end of the message. */
void part_add_text(const struct part_plan *p, struct span text, struct header_plan *header,
                   struct splices *out);
/* Text with CRLF in the line ends of the message. */
struct span part_lines(const struct part_plan *p, struct span text);
/* Where its body stands in the original. */
static inline struct span part_raw_body(const struct part_plan *p, const struct part_facts *part)
{
    return span_sub(p->parts->mime->raw, part->part->body_at, part->part->at + part->part->size);
}

#endif

/* What becomes of each field of a header, gathered before any splice is made: several actions may
 * mean the same field, and splices must not overlap. Room-private. */
#ifndef GATEHOUSE_ACTION_HEADER_PLAN_H
#define GATEHOUSE_ACTION_HEADER_PLAN_H

#include "base/buf.h"
#include "mime/header_edit.h"

struct field_fate {
    bool deleted;
    struct span value;  /* a new one, UTF-8; absent: the old one stays */
    struct span prefix; /* in front of it; absent: none */
};

struct header_plan {
    struct arena *arena;
    struct mime *h; /* mime_header() with every field */
    struct field_fate *v;
    struct buf *head; /* fields that are added on top, LF or CRLF; the caller's */
};

struct header_plan header_plan_of(struct arena *a, struct mime *h, struct buf *head);

/* Whether a field has this name, as lenient readers see it. */
bool header_named(const struct mime_field *f, struct span name);

/* name: of ASCII; value: UTF-8 of one line. */
void header_plan_add(struct header_plan *p, struct span name, struct span value);
/* nth: of the instances that are still there, from 1; 0: all. */
void header_plan_delete(struct header_plan *p, struct span name, size_t nth);
/* What is not there is added. */
void header_plan_change(struct header_plan *p, struct span name, size_t nth, struct span value);
/* There is one that stays. */
bool header_plan_has(const struct header_plan *p, struct span name);
/* In front of every instance that does not begin with it already; adds the field when none is
 * there. */
void header_plan_prefix(struct header_plan *p, struct span name, struct span text);
/* The splices for the fields that are there; head is not looked at. */
void header_plan_emit(const struct header_plan *p, struct splices *out);

#endif

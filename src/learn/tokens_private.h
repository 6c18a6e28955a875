/* What the files that make tokens share. */
#ifndef GATEHOUSE_LEARN_TOKENS_PRIVATE_H
#define GATEHOUSE_LEARN_TOKENS_PRIVATE_H

#include "base/buf.h"
#include "base/map.h"
#include "learn/tokens.h"

enum learn_region { REGION_HEADER, REGION_BODY, REGION_URI };

/* Tokens as they are found. */
struct collector {
    struct arena *a;
    const struct learn_rules *rules;
    struct map unique;              /* text -> itself */
    struct map stopped;             /* word -> &yes or &no */
    struct buf line, scratch, form; /* of the line, of a token in the making, of a word */
    size_t bytes;                   /* that tokens take */
    void *match;                    /* PCRE2's, for the header */
    size_t found;                   /* tokens of this source, with those that were there already */
};

/* One line of a text: everything after the first `prefix` (semantics 9.1). */
void collect_line(struct collector *c, struct span line, struct span prefix,
                  enum learn_region region);
/* The last @ that has something on both sides; SIZE_MAX: there is none. */
size_t address_middle(struct span s);
/* "a.b.c" becomes "b.c"; false: nothing is above it. */
bool domain_above(struct span *name);

void collect_token(struct collector *c, struct span prefix, struct span text);

/* header.c: all fields, metadata included. */
void collect_header(struct collector *c, const struct learn_text *t);

#endif

/* Templates for lines that programs write, such as Received (semantics 6.7, 8.5).
 *
 *     "$hW ($rW [$iI]) by $bW "      helo, rdns, ip and by of a Postfix line
 *
 * Literal characters stand for themselves. $X with a capital, a digit or one of ~-:%= is a class of
 * characters (table in template.c); a lower-case letter between $ and the class stores what the
 * class matched under that letter. {a|b|} is a choice, tried from left to right. $. is the end of
 * the line, $_ a word boundary, $!text! "not followed by text", $(x ... $)x stores a longer stretch
 * under x.
 *
 * Semantics are those of a backtracking Perl regex of the same form. Since nothing refers back to
 * what was stored, a place that failed once fails always: it is remembered, so that a match takes
 * at most template length * line length steps. */
#ifndef GATEHOUSE_RELAYS_TEMPLATE_H
#define GATEHOUSE_RELAYS_TEMPLATE_H

#include "base/arena.h"
#include "base/pairs.h"

/* What was found out about templates, for many messages; those used with one are constants. */
struct template_memory;
struct template_memory *template_memory_new(void);
void template_memory_free(struct template_memory *t);

struct template_match {
    struct span line;               /* its bytes stay as they are as long as this lives */
    struct arena *arena;            /* for the memory of failed places; used for long lines only */
    struct template_memory *memory; /* may be NULL: then one in the arena */
    bool icase;                     /* literals match in any case */
    /* private */
    struct span got[26]; /* by letter */
    uint32_t stored;     /* of which letters */
    struct span tried;   /* the line of the last template */
    struct span paired;  /* the line of .pairs */
    struct pairs pairs;
    size_t mark[26];
    size_t steps;
    unsigned char *failed;
    size_t failed_size;
    bool remembers;
    const struct compiled *compiled;
};

/* The template at the start of the line. */
bool template_start(struct template_match *m, const char *template);
/* The first place in the line where it matches; *at (may be NULL) tells where, *end where it ends.
 */
bool template_search(struct template_match *m, const char *template, size_t *at, size_t *end);

/* Which templates of a list may be found in the line, a bit for each; the others certainly are not.
 * A list is a constant array of at most TEMPLATE_LIST_MOST things of that size, each beginning with
 * the pointer to its template; NULL ends it. */
enum { TEMPLATE_LIST_MOST = 64 };
uint64_t template_which(struct template_match *m, struct span line, const void *list, size_t size);

/* Whether the line may hold the text, in any case: false is certain. */
bool template_maybe(struct template_match *m, struct span line, const char *text);

/* What was stored under the letter; absent: nothing was. */
static inline struct span template_got(const struct template_match *m, char letter)
{
    return m->stored >> (letter - 'a') & 1 ? m->got[letter - 'a'] : SPAN_NONE;
}

#endif

/* Text maps in Sendmail's form: one entry a line, key, white space, value; '#' begins a comment
 * line. Used by the door (relay domains, recipients, access) and by the spool (mailertable).
 *
 * A key may stand in double quotes when it holds white space. Keys are folded to lower case; the
 * first of two equal keys counts, the second is reported. A line that can't be understood is
 * reported with file:line and skipped; the rest stays in force. A file that can't be read, or has
 * become larger than TEXTMAP_FILE_MAX, leaves the entries read before in force. One thread. Entries
 * are valid until the next textmap_refresh. */
#ifndef GATEHOUSE_SMTP_TEXTMAP_H
#define GATEHOUSE_SMTP_TEXTMAP_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"

enum { TEXTMAP_FILE_MAX = 256 * 1024 * 1024, TEXTMAP_LINE_MAX = 4096 };

struct textmap;

struct textmap_entry {
    struct span key;   /* lower case */
    struct span value; /* trimmed; empty when there is none */
    unsigned line;
    void *parsed; /* what check made of it */
};

/* Called for every entry while reading. May set e->parsed (from arena, which lives as long as the
 * entry). 0, or -1 with why: the line is reported and skipped. NULL: every entry is good. */
typedef int textmap_check(void *ctx, struct arena *arena, struct textmap_entry *e, struct err *why);

struct textmap_rules {
    textmap_check *check;
    /* Gets "file:line: text" (and "file: text") for the log or `gatehouse check`. May be NULL. */
    void (*report)(void *ctx, const char *text);
    void *ctx;
};

/* Reads path. Never NULL: a file that is missing is reported, the map is empty, textmap_ok is
 * false, and it is read when it appears. */
struct textmap *textmap_open(const char *path, const struct textmap_rules *rules);
/* The same from memory, name standing for the file in reports; for tests and checks. */
struct textmap *textmap_read(struct span text, const char *name, const struct textmap_rules *rules);
void textmap_free(struct textmap *m);
/* Reads the file again when its time, size or inode have changed. True when it did. Cheap enough to
 * be called once a second. */
bool textmap_refresh(struct textmap *m);
/* false when the file could never be read: what it decides is unknown, not "no". */
bool textmap_ok(const struct textmap *m);
/* key is folded here. NULL when there is no entry. */
const struct textmap_entry *textmap_get(const struct textmap *m, struct span key);
size_t textmap_count(const struct textmap *m);
const struct textmap_entry *textmap_at(const struct textmap *m, size_t i);
/* Lines that were reported at the last reading. */
size_t textmap_bad(const struct textmap *m);

#endif

/* JSON written straight into a buffer: a receipt is made for every message, and building a tree
 * first costs ten times as much. Members come out in the order of the calls; a NULL key stands for
 * an array's element. Room-private. */
#ifndef GATEHOUSE_ACTION_JSON_OUT_H
#define GATEHOUSE_ACTION_JSON_OUT_H

#include "base/buf.h"

/* kind: '{' or '['. */
void json_open(struct buf *b, const char *key, char kind);
void json_close(struct buf *b, char kind);
/* Outside bytes: what is not valid UTF-8, and NUL, become U+FFFD. Absent spans write nothing. */
void json_text(struct buf *b, const char *key, struct span s);
void json_number(struct buf *b, const char *key, double v);
void json_count(struct buf *b, const char *key, uint64_t v);
void json_flag(struct buf *b, const char *key, bool v);

#endif

/* JSON written straight into a buffer: a receipt is made for every message, and building a tree
 * first costs ten times as much. Members come out in the order of the calls; a NULL key stands for
 * an array's element. */
#ifndef GATEHOUSE_BASE_JSON_H
#define GATEHOUSE_BASE_JSON_H

#include "base/buf.h"

/* A string with its quotes. Outside bytes: what is not valid UTF-8, and NUL, become U+FFFD. */
void json_quoted(struct buf *b, struct span s);

/* kind: '{' or '['. */
void json_open(struct buf *b, const char *key, char kind);
void json_close(struct buf *b, char kind);
/* As json_quoted. Absent spans write nothing. */
void json_text(struct buf *b, const char *key, struct span s);
void json_number(struct buf *b, const char *key, double v);
void json_count(struct buf *b, const char *key, uint64_t v);
void json_flag(struct buf *b, const char *key, bool v);

#endif

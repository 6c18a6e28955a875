/* Allocation that never returns NULL: without memory the process ends and the supervisor starts it
 * anew; messages in work get a temporary failure. */
#ifndef GATEHOUSE_BASE_XALLOC_H
#define GATEHOUSE_BASE_XALLOC_H

#include <stddef.h>

void *xmalloc(size_t n);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif

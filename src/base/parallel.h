/* The same work by several threads at once: it takes its pieces from a counter that they share. */
#ifndef GATEHOUSE_BASE_PARALLEL_H
#define GATEHOUSE_BASE_PARALLEL_H

enum { PARALLEL_MAX = 64 };

/* Runs work(ctx) in `threads` threads (0: one a core; at most PARALLEL_MAX), the caller's among
 * them, and returns when all are done. Where no thread can be made the caller does all. */
void parallel(unsigned threads, void (*work)(void *ctx), void *ctx);

#endif

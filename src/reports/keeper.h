/* The store's keeper in the process that owns the record: takes items (reports/item.h) and returns
 * at once, writes them in batches in a thread of the loop's pool, and runs other work on the store
 * there, one after the other.
 *
 * What waits is bounded: more is dropped, counted and logged. Reports are statistics; a crash may
 * lose the last seconds of them. Nothing here waits for the disk on the loop. */
#ifndef GATEHOUSE_REPORTS_KEEPER_H
#define GATEHOUSE_REPORTS_KEEPER_H

#include "config/settings.h"
#include "reports/item.h"

#include <uv.h>

enum { KEEPER_QUEUE_MAX = 64 << 20, KEEPER_FLUSH_MS = 1000 };

struct keeper;

/* Opens the store at its first use, and again after a failure. */
struct keeper *keeper_new(uv_loop_t *loop, const struct settings *set);
/* Writes what waits, then frees everything; work that was asked for ends first. Runs the loop. */
void keeper_close(struct keeper *k);

void keeper_take(struct keeper *k, struct span items);

/* work: in a thread, with the store, after everything that was taken before the call; s is NULL
 * with e when it can't be opened. done: back on the loop. */
typedef void keeper_work_fn(void *ctx, struct report_store *s, struct err *e);
typedef void keeper_done_fn(void *ctx);
void keeper_run(struct keeper *k, keeper_work_fn *work, keeper_done_fn *done, void *ctx);

#endif

/* The store's insides: store.c (writing), store_read.c (reading). Room-private. */
#ifndef GATEHOUSE_REPORTS_STORE_PRIVATE_H
#define GATEHOUSE_REPORTS_STORE_PRIVATE_H

#include "reports/store.h"
#include "store/db.h"

struct report_store {
    struct db *db;
    uint64_t limit;
    struct buf text, list; /* scratch */
};

extern const char *const report_steps[]; /* schema, for store/db.h */
enum { REPORTS_FORM = 1 };               /* how many steps there are */

#endif

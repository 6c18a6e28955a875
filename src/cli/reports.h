/* gatehouse dmarc and gatehouse tlsrpt: two kinds of reports, the same verbs. */
#ifndef GATEHOUSE_CLI_REPORTS_H
#define GATEHOUSE_CLI_REPORTS_H

#include "config/settings.h"
#include "reports/store.h"

struct reports_query {
    enum reports_kind kind;
    const char *command; /* "dmarc", "tlsrpt" */
    const struct settings *set;
    const char *config, *day, *domain, *to;
    bool json, dry, again, ours;
    uint64_t days, limit;
    char **files;
};

/* Exit codes. */
int reports_send(const struct reports_query *q);  /* report: the running gateway sends */
int reports_write(const struct reports_query *q); /* report --to: into files */
int reports_show(const struct reports_query *q);
int reports_list(const struct reports_query *q);
int reports_import(const struct reports_query *q);

/* The store, for reading; NULL after telling why. */
struct report_store *reports_open(const struct reports_query *q);

#endif

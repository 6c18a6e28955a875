/* The embedded engine's inside: the library by name, the signatures in force, one conversation.
 * Room-private. */
#ifndef GATEHOUSE_VIRUS_ENGINE_PRIVATE_H
#define GATEHOUSE_VIRUS_ENGINE_PRIVATE_H

#include "base/err.h"
#include "config/settings.h"

#include <clamav.h>
#include <pthread.h>

/* --- library.c: what we use of libclamav --- */

struct clam {
    void *handle;
    cl_error_t (*init)(unsigned);
    struct cl_engine *(*engine_new)(void);
    cl_error_t (*engine_set_num)(struct cl_engine *, enum cl_engine_field, long long);
    cl_error_t (*engine_compile)(struct cl_engine *);
    cl_error_t (*engine_free)(struct cl_engine *);
    cl_error_t (*load)(const char *, struct cl_engine *, unsigned *, unsigned);
    cl_error_t (*scandesc)(int, const char *, const char **, unsigned long *,
                           const struct cl_engine *, struct cl_scan_options *);
    cl_error_t (*statinidir)(const char *, struct cl_stat *);
    int (*statchkdir)(const struct cl_stat *);
    cl_error_t (*statfree)(struct cl_stat *);
    struct cl_cvd *(*cvdhead)(const char *);
    void (*cvdfree)(struct cl_cvd *);
    const char *(*retver)(void);
    const char *(*error_text)(cl_error_t);
};
/* Loads the library; -1 and e when there is none that fits. */
int clam_open(struct clam *c, struct err *e);
void clam_close(struct clam *c);

/* --- signatures.c: the set in force --- */

/* A compiled set, shared by the scans that use it; the last one frees it. */
struct signatures {
    struct cl_engine *engine;
    unsigned count;
    unsigned version; /* of daily.cvd, 0 without */
    int users;        /* under the engine's lock */
};

struct signatures *signatures_load(const struct clam *c, const struct virus_settings *s,
                                   struct err *e);
void signatures_free(const struct clam *c, struct signatures *s);

/* --- shared by all threads of the process --- */

struct engine {
    const struct virus_settings *set;
    struct clam clam;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* signatures, scanning, connections */
    struct signatures *now; /* NULL while none is loaded */
    int scanning, scans_max;
    int connections;
    bool reload, stopping;
    int wake; /* eventfd: tells the loop's thread that something is to be looked at */
};

/* The set in force, held until given back; waits while there is none. NULL when stopping. */
struct signatures *engine_take(struct engine *g);
void engine_give(struct engine *g, struct signatures *s);

/* --- session.c: one conversation on a connected socket, blocking; closes it --- */
void engine_session(struct engine *g, int sock);

#endif

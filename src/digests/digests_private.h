/* Servers of the services, shared by those that ask and those that report. */
#ifndef GATEHOUSE_DIGESTS_DIGESTS_PRIVATE_H
#define GATEHOUSE_DIGESTS_DIGESTS_PRIVATE_H

#include "digests/ask.h"
#include "digests/digests.h"

struct pyzor_server {
    struct where at;
    struct pyzor_account who;
};

enum { RAZOR_SERVERS = 32 };

/* Catalogue servers; the first that answers is asked first from then on. */
struct razor_servers {
    struct {
        struct where at;
        struct razor_server known;
    } v[RAZOR_SERVERS];
    size_t n, first;
    struct where discovery;
    struct razor_server discovery_known;
    bool discovers;  /* they come from there */
    usec discovered; /* when */
};

struct digests {
    uv_loop_t *loop;
    const struct settings *set;
    struct dns *dns;
    struct pyzor_server *pyzor;
    size_t npyzor;
    struct where dcc;
    bool has_dcc;
    struct razor_servers razor;
    bool has_razor;
    struct job *jobs; /* messages that wait */
};

/* A small file; empty when it can't be read, which is logged. NULL: empty. */
struct buf digests_file(const char *path);

#endif

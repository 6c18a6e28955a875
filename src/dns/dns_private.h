/* Questions under way, between the files of this room. */
#ifndef GATEHOUSE_DNS_DNS_PRIVATE_H
#define GATEHOUSE_DNS_DNS_PRIVATE_H

#include "base/buf.h"
#include "dns/dns.h"

#include <sys/epoll.h>
#include <unbound.h>

#include <unbound-event.h>

/* libunbound's events on the loop (events.c). */
enum { DNS_EVENTS_READY = 64 }; /* sockets that are told of at a time */
struct dns_events {
    struct ub_event_base base; /* first: what libunbound sees */
    uv_loop_t *loop;
    uv_poll_t poll; /* of the epoll; its closing ends the library (library.c) */
    int epoll;
    struct epoll_event ready[DNS_EVENTS_READY];
    int nready;
};
/* false: out of descriptors. */
bool dns_events_init(struct dns_events *e, uv_loop_t *loop);
/* When the poll is closed and the library is gone. */
void dns_events_end(struct dns_events *e);

/* What an answer's packet says (packet.c). */
struct dns_result {
    int type, rcode;
    bool failed; /* no packet, or none that can be read */
    bool secure, havedata;
    uint32_t ttl;
    size_t n, ends[DNS_ANSWERS_MAX]; /* records in bytes, one behind the other */
    struct buf bytes;
    char canonical[DNS_NAME_MAX]; /* behind the last alias; empty: there was none */
};
/* Fills rcode, havedata, ttl and the records of a zeroed result; false: malformed. */
bool dns_packet_read(struct span bytes, int type, struct dns_result *out);
size_t dns_result_records(const struct dns_result *r, struct span v[DNS_ANSWERS_MAX]);

struct dns {
    uv_loop_t *loop;
    const struct dns_settings *set;
    struct ub_ctx *ub;
    struct dns_events events;
    bool watching;             /* events stands */
    struct dns_question *open; /* doubly linked */
};

/* The library with its settings, on the loop; made when first wanted. false: out of memory. */
bool dns_library(struct dns *d);

#endif

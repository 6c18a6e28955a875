#ifndef GATEHOUSE_RATE_RATE_PRIVATE_H
#define GATEHOUSE_RATE_RATE_PRIVATE_H

#include "rate/rate.h"

enum { RATE_BUCKETS = 4096 };

struct rate_entry {
    struct rate_entry *next;
    uint64_t n;
    size_t len;
    char key[];
};

struct rates {
    const struct rate_settings *set;
    struct kv *kv;
    struct rate_spec *specs;
    size_t n;
    struct rate_entry *sessions[RATE_BUCKETS];
};

/* The key of a bucket: its name, and for whom. false: that is not known. */
bool rate_key(const struct rate_spec *s, const struct rate_keys *keys, struct buf *out);
void rate_whom(const struct rate_spec *s, const struct rate_keys *keys, char *out, size_t size);

#endif

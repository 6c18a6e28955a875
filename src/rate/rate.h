/* How much of what for whom: leaky buckets with names (settings rates.limits), kept in the state so
 * that a restart forgives nobody, and sessions at the same time, which end with the process.
 *
 * A bucket holds `burst` and loses n in `per`. What does not fit is not counted: who is over the
 * limit may go on at the rate of the limit. Without memory (kv.h) nobody is over a limit. */
#ifndef GATEHOUSE_RATE_RATE_H
#define GATEHOUSE_RATE_RATE_H

#include "config/settings.h"
#include "kv/kv.h"

struct rates;

/* Whom something is counted for; what is absent is not counted for. */
struct rate_keys {
    const struct ip *ip;
    uint32_t asn; /* 0: not known */
    struct span sender, rcpt, user;
};

struct rate_over {
    const struct rate_spec *spec;
    usec wait;      /* until there would be room */
    char whom[128]; /* for the log: cut when longer */
};

struct rates *rates_new(const struct rate_settings *set, struct kv *kv);
void rates_free(struct rates *r);
bool rates_any(const struct rates *r, enum rate_what what);

/* Counts n of what against every limit. true: within all of them. false: *over is the one that is
 * exceeded (the one with the longest wait); RATE_DELAY is counted all the same, since it will
 * happen. */
bool rates_count(struct rates *r, enum rate_what what, const struct rate_keys *keys, double n,
                 usec now, struct rate_over *over);
/* The same without counting: is there room for n? */
bool rates_room(struct rates *r, enum rate_what what, const struct rate_keys *keys, double n,
                usec now, struct rate_over *over);
/* A limit that is not in the settings (access map ClientRate:). name: of the bucket. */
bool rates_count_one(struct rates *r, const struct rate_spec *spec, const struct rate_keys *keys,
                     usec now, struct rate_over *over);

/* ---- sessions at the same time ---- */

enum { RATE_ENTRIES_MAX = 8 };
struct rate_entry;
/* What a session counts in. Zeroed: in nothing. */
struct rate_stay {
    struct rate_entry *v[RATE_ENTRIES_MAX];
    size_t n;
};
/* false: too many, and nothing was counted. limit: of the address, from the access map
 * (ClientConn:); negative: none. */
bool rates_enter(struct rates *r, const struct rate_keys *keys, int64_t limit,
                 struct rate_stay *stay, struct rate_over *over);
void rates_leave(struct rates *r, struct rate_stay *stay);

/* ---- users who were stopped ---- */

bool rates_stopped(struct rates *r, struct span user, usec now);
void rates_stop(struct rates *r, struct span user, usec now);
/* For operators. KV_NONE: the user was not stopped. */
enum kv_status rates_release(struct kv *kv, struct span user, usec now);
enum kv_status rates_each_stopped(struct kv *kv, usec now,
                                  bool (*fn)(void *ctx, struct span user, usec since, usec until),
                                  void *ctx);

#endif

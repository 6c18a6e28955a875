/* Greylisting (RFC 6647): who is unknown is asked to come again; mail servers do, most programs
 * that send spam do not.
 *
 * Remembered is a triple of client, sender and recipient. The client is its network, or, where SPF
 * has confirmed it, the sender's domain: a sender with many hosts comes again from another one. Of
 * the sender, case, extension, numbers and the tags of BATV and SRS do not count (mailing lists
 * count up in them, tags change every day). A client that came again for greylist.auto_pass triples
 * passes with all.
 *
 *     unknown --first seen--> WAIT --too early--> WAIT
 *                               '--after delay, within retry_window--> PASS, for pass_time after
 * the last mail
 *
 * Without memory (kv.h) everybody passes. */
#ifndef GATEHOUSE_GREYLIST_GREYLIST_H
#define GATEHOUSE_GREYLIST_GREYLIST_H

#include "config/settings.h"
#include "kv/kv.h"

struct grey_query {
    struct ip ip;
    struct span helo;   /* used with greylist.helo */
    struct span sender; /* empty: the null sender */
    struct span rcpt;
    struct span spf_domain; /* the sender's domain when SPF says pass; else absent */
};

enum grey_answer {
    GREY_FIRST,  /* wait: not seen before */
    GREY_EARLY,  /* wait: came again too soon */
    GREY_AGAIN,  /* pass: came again in time */
    GREY_KNOWN,  /* pass: this triple came again before */
    GREY_PROVEN, /* pass: the client came again for others */
    GREY_BLIND   /* pass: nothing can be remembered */
};
static inline bool grey_waits(enum grey_answer a)
{
    return a <= GREY_EARLY;
}

struct grey_result {
    enum grey_answer answer;
    usec wait;   /* until it would pass */
    usec waited; /* GREY_AGAIN: since it was first seen */
};

struct grey_result greylist_ask(struct kv *kv, const struct greylist_settings *set,
                                const struct grey_query *q, usec now);
/* "first", "early", "again", "known", "proven", "blind". */
const char *grey_answer_name(enum grey_answer a);

#endif

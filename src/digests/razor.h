/* Vipul's Razor 2: signatures of a message's parts, and what servers are asked and answer. Bytes
 * in, bytes out. Signatures and dialogue are those of razor-agents 2.85. */
#ifndef GATEHOUSE_DIGESTS_RAZOR_H
#define GATEHOUSE_DIGESTS_RAZOR_H

#include "base/arena.h"
#include "base/buf.h"
#include "message/facts.h"

enum {
    RAZOR_PARTS = 100,          /* of one message that are asked about */
    RAZOR_SIGNATURES = 500,     /* of one message */
    RAZOR_HOSTS = 50,           /* of one part */
    RAZOR_PART_MAX = 60 * 1024, /* bytes of a part that count */
    RAZOR_ANSWER_MAX = 256 * 1024
};

/* --- signatures --- */

struct razor_signature {
    unsigned part, engine; /* engine 4: of the text; 8: of a host that it names */
    struct span text;
};
struct razor_signatures {
    struct razor_signature *v;
    size_t n, cap;
    unsigned parts; /* with any text */
};

/* What the server says of itself (a=g&pm=state) and in its greeting. */
struct razor_server {
    bool known;       /* the state was asked for */
    uint64_t serial;  /* srl: number of the state */
    uint64_t average; /* ac: confidence from which on a part is spam, as the server sees it */
    unsigned engines; /* se: bit i - 1: engine i */
    unsigned batch;   /* bql: questions in one batch */
    uint64_t seed;    /* ep4, of engine 4: SEED-SEPARATOR */
    char separator;
    char ep4[32];
    bool wants_greeting; /* a=cg */
};
#define RAZOR_SERVER_DEFAULT                                                                       \
    ((struct razor_server){.engines = 1u << 3 | 1u << 7,                                           \
                           .batch = 50,                                                            \
                           .seed = 7542,                                                           \
                           .separator = '\n',                                                      \
                           .ep4 = "7542-10"})

/* Of all parts, part by part, engines that the server knows. a: also scratch. */
void razor_sign(struct arena *a, struct span raw, const struct razor_server *s,
                struct razor_signatures *out);

/* --- dialogue: lines of NAME=VALUE&NAME=VALUE --- */

/* The greeting line: false: not a server of Razor 2. */
bool razor_greeting(struct span line, struct razor_server *s);
/* The answer to "a=g&pm=state". */
bool razor_state(struct arena *a, struct span answer, struct razor_server *s);
/* The answer to "a=g&pm=csl": the servers, HOST or HOST:PORT. */
struct span *razor_list(struct arena *a, struct span answer, size_t *n);

/* Whether the bytes hold a whole answer; *n: its length. */
bool razor_complete(struct span in, size_t *n);

/* The questions for signatures from..to (at most s->batch). */
void razor_question(struct buf *out, const struct razor_signatures *v, size_t from, size_t to,
                    const struct razor_server *s);
/* Takes their answers into f: confidence by engine and whether a part is spam. verdicts: scratch of
 * the conversation, one for each part, zeroed at first. false: not the form of answers. */
struct razor_verdict {
    bool spam, contested;
};
bool razor_answers(struct arena *a, struct span answer, const struct razor_signatures *v,
                   size_t from, size_t to, unsigned least, struct razor_verdict *verdicts,
                   struct razor_fact *f);
/* Confidence from which on a part is spam: "ac", "ac+N", "ac-N", "N". */
unsigned razor_least(const char *min_cf, uint64_t average);

/* The message itself, when a server that is told of spam does not know it: its header and parts. */
void razor_whole(struct arena *a, struct buf *out, struct span raw);
/* The answer to a challenge when we report (a=ai, a=auth). */
void razor_response(struct span password, struct span challenge, char out[32]);
/* A value of the form of a line: NAME=VALUE&...; absent when it is not there. */
struct span razor_value(struct arena *a, struct span line, const char *name);
void razor_escape(struct buf *out, struct span value);
/* 4 bits at a time into Razor's 64 characters, three for two. */
void razor_base64(const char *hex, char *out, size_t size);

#endif

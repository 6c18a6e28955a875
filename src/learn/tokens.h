/* A message as Bayes sees it: a set of tokens, the same as SpamAssassin 4.0.1 makes of it
 * (semantics 9.1), each kept as the last five bytes of its SHA-1.
 *
 * The caller reads the message and hands over its texts; nothing here knows about mail but the
 * names of header fields. Works in an arena; patterns are compiled once (learn_words_new) and then
 * only read. */
#ifndef GATEHOUSE_LEARN_TOKENS_H
#define GATEHOUSE_LEARN_TOKENS_H

#include "base/arena.h"
#include "base/err.h"

enum {
    LEARN_TOKEN_SIZE = 5,      /* bytes of an id */
    LEARN_BODY_MAX = 50000,    /* tokens of a body, as SpamAssassin; then no further line is read */
    LEARN_SHORT_MAX = 10000,   /* tokens of header fields, of URIs */
    LEARN_BYTES_MAX = 4 << 20, /* of all tokens of a message; what is beyond does not count */
    LEARN_WORD_MAX_LENGTH = 15 /* bayes_max_token_length; longer words are cut */
};

struct learn_field {
    struct span name, value; /* decoded, unfolded, without the colon and the final LF */
};

/* What is read of a message; empty lists for sources that shall not count. */
struct learn_text {
    const struct span *visible, *invisible; /* lines of the rendered body */
    size_t nvisible, ninvisible;
    const struct span *uris;
    size_t nuris;
    const struct learn_field *fields; /* of the header, in order */
    size_t nfields;
    const struct learn_field *metadata; /* "x-spam-relays-trusted" ..., after the fields */
    size_t nmetadata;
    const struct span *parts; /* "SHA1-IN-HEX:type" of each leaf */
    size_t nparts;
};

/* How. */
struct learn_words;
struct learn_rules {
    const struct learn_words *words;
    size_t max_length; /* bytes of a word */
    /* Words that say nothing, and fields that shall not count (name in lower case); may be NULL. */
    bool (*stop)(void *ctx, struct span word);
    bool (*ignored)(void *ctx, struct span name);
    void *ctx;
};

/* The patterns for header fields. NULL and e: no memory for them. */
struct learn_words *learn_words_new(struct err *e);
void learn_words_free(struct learn_words *w);

struct learn_token {
    unsigned char id[LEARN_TOKEN_SIZE];
    struct span text; /* for people: "HSubject:..." */
};
struct learn_tokens {
    struct learn_token *v; /* by id, ascending, each once */
    size_t n;
};
struct learn_tokens learn_tokenize(struct arena *a, const struct learn_rules *r,
                                   const struct learn_text *t);

#endif

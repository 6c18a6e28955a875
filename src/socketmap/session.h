/* The server side of a socketmap session (Sendmail's README.cf, Postfix's socketmap_table(5)) as a
 * machine: netstrings in, questions out, netstrings back. No sockets, no clock, no memory.
 *
 *     4:m key,   -->   8:OK value,   9:NOTFOUND ,   ...
 *
 * One question at a time: until it is answered nothing more is taken. Whatever is no netstring ends
 * the session. */
#ifndef GATEHOUSE_SOCKETMAP_SESSION_H
#define GATEHOUSE_SOCKETMAP_SESSION_H

#include "base/buf.h"

enum {
    SOCKETMAP_REQUEST_MAX = 10000, /* bytes of map, space and key */
    SOCKETMAP_MAP_MAX = 100,       /* bytes of the map's name */
    SOCKETMAP_VALUE_MAX = 90000    /* Postfix takes replies of up to 100,000 bytes, Sendmail too */
};

enum netstring { NETSTRING_DONE, NETSTRING_MORE, NETSTRING_BAD };
/* Reads one in front of `in`: its bytes, and how many were used with length and comma. max: of its
 * bytes; one that is longer is bad as soon as that is known. */
enum netstring netstring_read(struct span in, size_t max, struct span *out, size_t *used);
void netstring_write(struct buf *b, struct span s);

enum socketmap_status {
    SOCKETMAP_OK,       /* text: the value */
    SOCKETMAP_NOTFOUND, /* no text */
    SOCKETMAP_TEMP,     /* text: why not now */
    SOCKETMAP_TIMEOUT,
    SOCKETMAP_PERM
};

/* Spans are valid during the call. */
struct socketmap_host {
    void (*send)(void *ctx, struct span bytes);
    /* Answered with socketmap_answer, at once or later. */
    void (*ask)(void *ctx, struct span map, struct span key);
    void (*close)(void *ctx, const char *why);
};

struct socketmap_session {
    const struct socketmap_host *host;
    void *ctx;
    bool waiting, closed;
    uint64_t asked;
};

/* Returns how many bytes were taken; the rest is to be offered again with more, or after the
 * answer. */
size_t socketmap_input(struct socketmap_session *s, struct span in);
/* A value that is too long or holds control characters is told as PERM; a reason is cut and
 * cleaned. */
void socketmap_answer(struct socketmap_session *s, enum socketmap_status status, struct span text);

#endif

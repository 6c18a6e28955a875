/* clamd's protocol (clamd(8), COMMANDS): where an engine listens, what it answers, and one
 * conversation with it. Room-private. */
#ifndef GATEHOUSE_VIRUS_CLAMD_PRIVATE_H
#define GATEHOUSE_VIRUS_CLAMD_PRIVATE_H

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"

#include <sys/socket.h>
#include <uv.h>

/* --- answers (answer.c) --- */

enum { ANSWER_MAX = 4096, SIGNATURE_NAME_MAX = 256 };

enum clamd_verdict {
    CLAMD_OK,
    CLAMD_FOUND,
    CLAMD_ENCRYPTED, /* "Heuristics.Encrypted.*": it could not look inside */
    CLAMD_LIMIT,     /* a size or another limit was reached: not all was looked at */
    CLAMD_NO_FD,     /* it got no descriptor: ask again with INSTREAM */
    CLAMD_ERROR      /* it said so, or what it said is none of the above */
};
struct clamd_answer {
    enum clamd_verdict verdict;
    struct span text; /* signature name, or what it said; points into the answer */
};
/* One complete answer, without its terminating NUL. Only the exact form "PREFIX: OK" is clean;
 * PREFIX is "stream" after INSTREAM, "fd[N]" after FILDES. */
struct clamd_answer clamd_answer_parse(struct span answer, bool stream);

/* "ClamAV 1.4.6/27000/Sun Nov 22 ..." to "1.4.6/27000"; absent when it is no such answer. */
struct span clamd_version_parse(struct span answer);

/* --- addresses (address.c) --- */

struct clamd_address {
    struct sockaddr_storage addr;
    socklen_t len;
    bool is_unix;
};
/* "unix:/run/clamav/clamd.ctl", "192.0.2.1:3310", "[2001:db8::1]:3310", "host:3310" (looked up
 * once, at once). */
int clamd_address_parse(const char *text, struct clamd_address *out, struct err *e);

/* --- one conversation (exchange.c) --- */

struct exchange;
struct exchange_request {
    const struct clamd_address *to;
    struct span command;           /* with its NUL: "zVERSION\0" */
    int fd;                        /* passed after the command, or -1; stays the caller's */
    struct span stream;            /* sent as INSTREAM chunks when present */
    usec connect_timeout, timeout; /* for connecting; for everything */
};
/* failure: NULL, or why there is no answer. answer: without its NUL, valid during the call. Called
 * once, from the loop, never from within exchange_start; not after exchange_cancel. */
typedef void exchange_done(void *ctx, const char *failure, struct span answer);
struct exchange *exchange_start(uv_loop_t *loop, const struct exchange_request *r,
                                exchange_done *done, void *ctx);
void exchange_cancel(struct exchange *x);

#endif

/* The roles of our processes and the frames they may send each other. One row a frame type: who may
 * send it, to whom, how large, whether a descriptor comes with it. */
#ifndef GATEHOUSE_IPC_FRAME_H
#define GATEHOUSE_IPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>

enum role {
    ROLE_SUPERVISOR = 1 << 0,
    ROLE_DOOR = 1 << 1,
    ROLE_SCAN = 1 << 2,
    ROLE_SPOOL = 1 << 3,
    ROLE_VIRUS = 1 << 4
};

enum frame_type {
    /* supervisor -> any */
    FRAME_LINK = 1, /* payload: u8 role of the peer; fd: our end of a new link */
    FRAME_DRAIN,    /* take nothing new, finish, exit */
    FRAME_RETIRE,   /* door: a successor has the listeners; serve the open sessions to their end */
    FRAME_REOPEN_LOG,
    /* any -> supervisor */
    FRAME_READY, /* serving */
    /* door, spool -> scan; fd: the message */
    FRAME_SCAN_REQUEST,
    FRAME_SCAN_RESULT,
    /* door -> spool; fd: the message */
    FRAME_STORE_REQUEST,
    FRAME_STORE_RESULT,
    /* door -> spool: recipient callout */
    FRAME_RCPT_REQUEST,
    FRAME_RCPT_RESULT,
    /* scan -> spool: a signature of ours (auth/sign.h) */
    FRAME_SIGN_REQUEST,
    FRAME_SIGN_RESULT,
    /* scan -> door: which callbacks the policy script has (u8 of enum script_call) */
    FRAME_SCRIPT_CALLS,
    /* door -> scan: one of them is asked (flow/frames.h) */
    FRAME_SCRIPT_REQUEST,
    FRAME_SCRIPT_RESULT,
    /* scan -> spool: what is to be learned (flow/teaching.h); tag 0: nobody waits for the answer */
    FRAME_LEARN_REQUEST,
    FRAME_LEARN_RESULT,
    FRAME_TYPES
};

struct frame_rule {
    const char *name;
    unsigned from, to; /* masks of roles */
    size_t max;        /* bytes of payload */
    bool fd;           /* exactly one descriptor, or none */
};

/* NULL for an unknown type. */
const struct frame_rule *frame_rule(unsigned type);
const char *role_name(enum role r);

#endif

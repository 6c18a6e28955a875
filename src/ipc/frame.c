#include "ipc/frame.h"

#define CHILD (ROLE_DOOR | ROLE_SCAN | ROLE_SPOOL | ROLE_VIRUS)

/* An envelope of 50,000 long recipients with DSN parameters stays under this, and so do the edits
 * and the receipt of a message. */
enum { LARGEST_MESSAGE = 64 * 1024 * 1024, LARGEST_HEADER = 8 * 1024 * 1024, SMALL = 4096 };
enum { QUESTION = 128 * 1024 }; /* addresses by milter, keys of maps: whatever fits a packet */

static const struct frame_rule rules[FRAME_TYPES] = {
    [FRAME_LINK] = {"link", ROLE_SUPERVISOR, CHILD, 1, true},
    [FRAME_DRAIN] = {"drain", ROLE_SUPERVISOR, CHILD, 0, false},
    [FRAME_RETIRE] = {"retire", ROLE_SUPERVISOR, ROLE_DOOR, 0, false},
    [FRAME_REOPEN_LOG] = {"reopen-log", ROLE_SUPERVISOR, CHILD, 0, false},
    [FRAME_READY] = {"ready", CHILD, ROLE_SUPERVISOR, 0, false},
    [FRAME_SCAN_REQUEST] = {"scan-request", ROLE_DOOR | ROLE_SPOOL, ROLE_SCAN, LARGEST_MESSAGE,
                            true},
    [FRAME_SCAN_RESULT] = {"scan-result", ROLE_SCAN, ROLE_DOOR | ROLE_SPOOL, LARGEST_MESSAGE,
                           false},
    [FRAME_STORE_REQUEST] = {"store-request", ROLE_DOOR, ROLE_SPOOL, LARGEST_MESSAGE, true},
    [FRAME_STORE_RESULT] = {"store-result", ROLE_SPOOL, ROLE_DOOR, SMALL, false},
    [FRAME_RCPT_REQUEST] = {"rcpt-request", ROLE_DOOR, ROLE_SPOOL, SMALL, false},
    [FRAME_RCPT_RESULT] = {"rcpt-result", ROLE_SPOOL, ROLE_DOOR, SMALL, false},
    [FRAME_SIGN_REQUEST] = {"sign-request", ROLE_SCAN, ROLE_SPOOL, LARGEST_HEADER, false},
    [FRAME_SCRIPT_CALLS] = {"script-calls", ROLE_SCAN, ROLE_DOOR, 1, false},
    [FRAME_SCRIPT_REQUEST] = {"script-request", ROLE_DOOR, ROLE_SCAN, QUESTION, false},
    [FRAME_SCRIPT_RESULT] = {"script-result", ROLE_SCAN, ROLE_DOOR, LARGEST_HEADER, false},
    [FRAME_LEARN_REQUEST] = {"learn-request", ROLE_SCAN, ROLE_SPOOL, LARGEST_HEADER, false},
    [FRAME_LEARN_RESULT] = {"learn-result", ROLE_SPOOL, ROLE_SCAN, SMALL, false},
    [FRAME_SIGN_RESULT] = {"sign-result", ROLE_SPOOL, ROLE_SCAN, LARGEST_HEADER, false},
};

const struct frame_rule *frame_rule(unsigned type)
{
    return type < FRAME_TYPES && rules[type].name ? &rules[type] : NULL;
}

const char *role_name(enum role r)
{
    switch (r) {
    case ROLE_SUPERVISOR:
        return "supervisor";
    case ROLE_DOOR:
        return "door";
    case ROLE_SCAN:
        return "scan";
    case ROLE_SPOOL:
        return "spool";
    case ROLE_VIRUS:
        return "virus";
    }
    return "unknown";
}

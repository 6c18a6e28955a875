/* One process of ours as the supervisor sees it. Room-private. */
#ifndef GATEHOUSE_SUPERVISOR_CHILD_H
#define GATEHOUSE_SUPERVISOR_CHILD_H

#include "ipc/frame.h"
#include "rules/ruleset.h"
#include "supervisor/bind.h"

/* Everything that a generation of processes is started from. Kept until the last process that uses
 * it is gone (they are forks: theirs is a copy). */
struct generation {
    struct settings *set;
    struct ruleset *rules; /* NULL until compiled */
    int *listeners;        /* one a listener row */
    int control_socket;    /* operators' socket, for the spool */
    int virus_socket;      /* for the embedded engine; -1: none */
    char *virus_address;   /* "unix:/run/gatehouse/virus.sock", NULL: no embedded engine */
    struct account account;
};

enum child_state { CHILD_STARTING, CHILD_READY, CHILD_RETIRED, CHILD_DRAINING };

struct child {
    enum role role;
    enum child_state state;
    pid_t pid;
    int control; /* our end of the link */
    usec started, drain_until;
    unsigned generation;
};

/* Opens the log as the settings say; -1 with errno. */
int open_log(const struct log_settings *l);

/* Forks and confines; the child runs its role's main function and never returns. 0, or -1. */
int child_start(struct child *c, enum role role, const struct generation *g);

/* How the rules of a generation are loaded; valid as long as its settings. */
struct ruleset_options child_rules_options(const struct generation *g);
/* Reads and compiles the rules in a process of its own, so that the cache is warm and the
 * supervisor does not wait. Returns its pid, or -1. */
pid_t child_compile_rules(const struct generation *g);

/* Connects two processes with a new link. */
void child_connect(const struct child *a, const struct child *b);
/* Sends FRAME_DRAIN, or FRAME_RETIRE to a door that may keep its sessions; gives it `grace` to end.
 * A retired door can be drained later. */
void child_drain(struct child *c, usec grace);
void child_retire(struct child *c, usec grace);

#endif

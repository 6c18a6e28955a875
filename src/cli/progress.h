/* How far a long job is, as one line on a terminal: share, rate, time left. */
#ifndef GATEHOUSE_CLI_PROGRESS_H
#define GATEHOUSE_CLI_PROGRESS_H

#include "base/clock.h"

struct progress {
    bool on;    /* standard error is a terminal and there is something to wait for */
    bool shown; /* the line stands there now */
    size_t done, total;
    usec started, last;
};

void progress_start(struct progress *p, size_t total);
/* Draws at most ten times a second. */
void progress_step(struct progress *p, size_t done);
/* Takes the line away, before other output to the terminal and at the end. */
void progress_hide(struct progress *p);
/* The line itself, at most `width` columns. */
void progress_line(const struct progress *p, usec now, char *out, size_t room);

#endif

#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR = 30, EVERY = 100000 /* us */ };

void progress_start(struct progress *p, size_t total)
{
    *p = (struct progress){.total = total, .started = clock_mono()};
    p->on = total > 1 && isatty(STDERR_FILENO);
}

void progress_line(const struct progress *p, usec now, char *out, size_t room)
{
    char bar[BAR + 1], left[32] = "";
    double share = p->total ? (double)p->done / (double)p->total : 1;
    double seconds = (double)(now - p->started) / 1e6;
    double rate = seconds > 0 ? (double)p->done / seconds : 0;
    for (int i = 0; i < BAR; i++)
        bar[i] = i < (int)(share * BAR) ? '#' : '-';
    bar[BAR] = '\0';
    if (rate > 0) {
        unsigned long s = (unsigned long)((double)(p->total - p->done) / rate + 0.5);
        snprintf(left, sizeof left, "  %lu:%02lu left", s / 60, s % 60);
    }
    snprintf(out, room, "[%s] %zu/%zu  %.0f%%  %.0f/s%s", bar, p->done, p->total, share * 100, rate,
             left);
}

void progress_step(struct progress *p, size_t done)
{
    char line[160];
    usec now = clock_mono();
    p->done = done;
    if (!p->on || now - p->last < EVERY)
        return;
    p->last = now;
    progress_line(p, now, line, sizeof line);
    fprintf(stderr, "\r\033[K%s", line);
    p->shown = true;
}

void progress_hide(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}

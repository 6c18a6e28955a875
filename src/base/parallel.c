#include "base/parallel.h"

#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

struct job {
    void (*work)(void *ctx);
    void *ctx;
};

static void *run(void *p)
{
    const struct job *j = p;
    j->work(j->ctx);
    return NULL;
}

void parallel(unsigned threads, void (*work)(void *ctx), void *ctx)
{
    struct job j = {work, ctx};
    pthread_t thread[PARALLEL_MAX];
    unsigned n = 0;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (threads == 0)
        threads = cores > 0 ? (unsigned)cores : 1;
    while (n + 1 < threads && n < PARALLEL_MAX && pthread_create(&thread[n], NULL, run, &j) == 0)
        n++;
    work(ctx);
    while (n)
        pthread_join(thread[--n], NULL);
}

/* Measures the state store, for bench/state: state_drive PATH ENTRIES. Entries are what greylisting
 * keeps: a triple of some 60 bytes, 24 bytes of value. One line of numbers for each phase. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "kv/kv.h"

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct span key_of(uint64_t i, char out[128])
{
    uint64_t r = i * 0x9e3779b97f4a7c15u; /* every network, in no order */
    int n = snprintf(out, 128, "%u.%u.%u/24 user%u@sender%u.example rcpt%u@example.org",
                     (unsigned)(r >> 56), (unsigned)(r >> 48 & 255), (unsigned)(r >> 40 & 255),
                     (unsigned)(i % 1000), (unsigned)(i / 1000), (unsigned)(r & 1023));
    return span_of(out, (size_t)n);
}

static void tell(const char *what, double *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += v[i];
    qsort(v, n, sizeof *v, by_value);
    printf("%-22s mean %6.2f  p50 %6.2f  p99 %6.2f  p99.9 %6.2f microseconds\n", what,
           sum / (double)n, v[n / 2], v[n * 99 / 100], v[n * 999 / 1000]);
}

static double since(const struct timespec *t)
{
    struct timespec n;
    clock_gettime(CLOCK_MONOTONIC, &n);
    return (double)(n.tv_sec - t->tv_sec) * 1e6 + (double)(n.tv_nsec - t->tv_nsec) / 1e3;
}

static bool fill(struct kv *k, uint64_t n, double *took, usec until)
{
    static const char value[24] = "when first, when passed";
    char key[128];
    for (uint64_t i = 0; i < n; i++) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        if (kv_put(k, KV_GREYLIST, key_of(i, key), span_of(value, sizeof value), until) != KV_OK)
            return false;
        took[i] = since(&t);
    }
    tell("write", took, n);
    return true;
}

static bool look_up(struct kv *k, uint64_t n, double *took, usec now, bool there)
{
    char key[128];
    struct buf v = {0};
    bool ok = true;
    for (uint64_t i = 0; i < n && ok; i++) {
        uint64_t which = i * 7919 % n + (there ? 0 : n);
        struct span s = key_of(which, key);
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        ok = kv_get(k, KV_GREYLIST, s, now, &v) == (there ? KV_OK : KV_NONE);
        took[i] = since(&t);
    }
    buf_free(&v);
    tell(there ? "lookup, there" : "lookup, not there", took, n);
    return ok;
}

static void purge(struct kv *k, usec now)
{
    struct kv_numbers n;
    struct timespec t;
    double worst = 0, all = 0;
    int ticks = 0;
    do {
        clock_gettime(CLOCK_MONOTONIC, &t);
        kv_tick(k, now);
        double us = since(&t);
        worst = us > worst ? us : worst;
        all += us;
        ticks++;
        kv_numbers(k, &n);
    } while (n.entries > 0 && ticks < 10000);
    printf("purge of everything    %d ticks, longest %.1f ms, together %.0f ms\n", ticks,
           worst / 1e3, all / 1e3);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return EXIT_USAGE;
    uint64_t n = strtoull(argv[2], NULL, 10);
    double *took = malloc(n * sizeof *took);
    struct kv *k = kv_open(argv[1], (uint64_t)512 << 20);
    struct timespec t;
    struct stat st;
    struct kv_numbers numbers;
    usec now = clock_wall();
    if (!took || !fill(k, n, took, now + 3600 * USEC_PER_SEC))
        return EXIT_BAD;
    kv_numbers(k, &numbers);
    if (stat(argv[1], &st) != 0)
        return EXIT_BAD;
    printf("entries %llu disk %llu used %.0f bytes-an-entry\n", (unsigned long long)numbers.entries,
           (unsigned long long)st.st_blocks * 512, (double)numbers.used / (double)n);
    if (!look_up(k, n, took, now, true) || !look_up(k, n, took, now, false))
        return EXIT_BAD;
    kv_close(k);
    clock_gettime(CLOCK_MONOTONIC, &t);
    k = kv_open(argv[1], (uint64_t)512 << 20);
    printf("open with check        %.0f ms\n", since(&t) / 1e3);
    purge(k, now + 7200 * USEC_PER_SEC);
    kv_close(k);
    free(took);
    return 0;
}

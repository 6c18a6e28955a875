/* CPU time of checking the signatures of one message: dkim_drive MESSAGE ROUNDS [NAME RECORD]...
 * prints the result of each signature and the microseconds of CPU that one check takes, keys known
 * and (once) not known. */
#include "../unit/auth/mailcheck.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double cpu_micros(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static struct span file(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0)
        return SPAN_NONE;
    char *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    return p == MAP_FAILED ? SPAN_NONE : span_of(p, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
    struct mailcheck c;
    struct span raw = argc > 2 ? file(argv[1]) : SPAN_NONE;
    uint64_t rounds = 0;
    if (!raw.p || !span_u64(span_str(argv[2]), &rounds) || rounds < 1)
        return 64;
    mailcheck_open(&c);
    for (int i = 3; i + 1 < argc; i += 2)
        zone_txt(&c.zone, argv[i], argv[i + 1]);
    double start = cpu_micros();
    const struct auth_facts *f = mailcheck(&c, raw, time(NULL));
    printf("first %.1f\n", cpu_micros() - start);
    for (size_t i = 0; i < f->ndkim; i++)
        printf("dkim %s %.*s\n", dkim_result_name(f->dkim[i].result), SPAN_ARG(f->dkim[i].why));
    printf("arc %s %.*s\n", arc_result_name(f->arc.result), SPAN_ARG(f->arc.why));
    start = cpu_micros();
    for (uint64_t i = 0; i < rounds; i++)
        mailcheck(&c, raw, time(NULL));
    printf("each %.2f\n", (cpu_micros() - start) / (double)rounds);
    mailcheck_close(&c);
    return 0;
}

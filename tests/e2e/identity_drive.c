/* CPU time of judging who sent a message (SPF, DKIM, ARC, DMARC):
 *
 *     identity_drive CONFIG MESSAGE ROUNDS CLIENT-IP HELO MAIL-FROM
 *
 * The first round asks the DNS of the settings and keeps its answers. Then ROUNDS rounds with these
 * answers at hand, which is what the checks cost, and ROUNDS rounds that ask again, which the
 * resolver's cache answers. CPU of all threads of this process, the quickest fifth of the rounds.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/log.h"

enum { SLICES = 5 };

/* A question that was asked, with its answer. */
struct kept {
    struct span name;
    enum dns_type type;
    struct dns_answer answer;
};

struct drive {
    uv_loop_t loop;
    struct dns *dns;
    struct auth *auth;
    const struct settings *set;
    struct message *m;
    struct auth_client client;
    struct arena *arena;
    struct kept *v;
    size_t n, cap;
    unsigned asked, done;
};

/* A question on its way to the DNS. */
struct asked {
    struct drive *d;
    struct span name;
    enum dns_type type;
    dns_answer_fn *done;
    void *ctx;
};

static double cpu_micros(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void keep(void *ctx, const struct dns_answer *a)
{
    struct asked *q = ctx;
    struct drive *d = q->d;
    struct kept *k = ARENA_PUSH(d->arena, d->v, d->n, d->cap);
    struct span *rdata = arena_array(d->arena, a->n + 1, sizeof *rdata);
    for (size_t i = 0; i < a->n; i++)
        rdata[i] = arena_dup(d->arena, a->rdata[i]);
    *k = (struct kept){q->name, q->type, *a};
    k->answer.rdata = rdata;
    q->done(q->ctx, a);
}

static void ask_and_keep(void *ctx, struct span name, enum dns_type type, dns_answer_fn *done,
                         void *done_ctx)
{
    struct drive *d = ctx;
    struct asked *q = ARENA_NEW(d->arena, struct asked);
    *q = (struct asked){d, arena_dup(d->arena, name), type, done, done_ctx};
    d->asked++;
    dns_ask(d->dns, name, type, keep, q);
}

static void ask_kept(void *ctx, struct span name, enum dns_type type, dns_answer_fn *done,
                     void *done_ctx)
{
    struct drive *d = ctx;
    for (size_t i = 0; i < d->n; i++)
        if (d->v[i].type == type && span_eq(d->v[i].name, name)) {
            done(done_ctx, &d->v[i].answer);
            return;
        }
    abort();
}

static void ask_dns(void *ctx, struct span name, enum dns_type type, dns_answer_fn *done,
                    void *done_ctx)
{
    struct drive *d = ctx;
    dns_ask(d->dns, name, type, done, done_ctx);
}

static void finished(void *ctx)
{
    ((struct drive *)ctx)->done++;
}

static const struct auth_facts *judge(struct drive *d, struct span raw, const struct resolver *r)
{
    message_reset(d->m);
    d->m->raw = raw;
    d->m->received = clock_wall();
    d->m->has_envelope = true;
    d->done = 0;
    auth_message(d->auth, r, d->m, &d->client, finished, d);
    while (!d->done)
        uv_run(&d->loop, UV_RUN_ONCE);
    d->m->raw = SPAN_NONE;
    return &d->m->facts.auth;
}

/* The quickest of some slices: others use the machine, too. */
static double rounds(struct drive *d, struct span raw, uint64_t n, const struct resolver *r)
{
    double best = 0;
    for (int slice = 0; slice < SLICES; slice++) {
        double start = cpu_micros();
        for (uint64_t i = 0; i < n / SLICES + 1; i++)
            judge(d, raw, r);
        double each = (cpu_micros() - start) / (double)(n / SLICES + 1);
        best = slice == 0 || each < best ? each : best;
    }
    return best;
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

static void say(const struct drive *d, const struct auth_facts *f)
{
    printf("spf %s\n", spf_result_name(f->mailfrom.result));
    for (size_t i = 0; i < f->ndkim; i++)
        printf("dkim %s %.*s\n", dkim_result_name(f->dkim[i].result), SPAN_ARG(f->dkim[i].why));
    printf("arc %s %u\n", arc_result_name(f->arc.result), f->arc.instances);
    printf("dmarc %s\n", dmarc_result_name(f->dmarc.result));
    printf("questions %u\n", d->asked);
}

int main(int argc, char **argv)
{
    struct drive d = {0};
    struct settings_problems problems = {0};
    struct span raw = argc == 7 ? file(argv[2]) : SPAN_NONE;
    uint64_t n = 0;
    if (!raw.p || !span_u64(span_str(argv[3]), &n) || n < 1 ||
        !ip_parse(span_str(argv[4]), &d.client.ip))
        return 64;
    struct settings *set = settings_load_all(argv[1], &problems);
    for (size_t i = 0; i < problems.n; i++)
        fprintf(stderr, "%s\n", problems.v[i].text);
    if (!set)
        return 78;
    log_open("/dev/null", LOG_TEXT, LOG_FAULT);
    uv_loop_init(&d.loop);
    d.set = set;
    d.arena = arena_new(0);
    d.dns = dns_new(&d.loop, &set->dns);
    d.auth = auth_new(set);
    d.m = message_new((size_t)64 << 20);
    d.client.has_ip = d.client.has_mail_from = true;
    d.client.helo = span_str(argv[5]);
    d.client.mail_from = span_str(argv[6]);
    say(&d, judge(&d, raw, &(struct resolver){ask_and_keep, &d}));
    rounds(&d, raw, n / 10 + 1, &(struct resolver){ask_kept, &d});
    printf("checks %.2f\n", rounds(&d, raw, n, &(struct resolver){ask_kept, &d}));
    printf("cached %.2f\n", rounds(&d, raw, n, &(struct resolver){ask_dns, &d}));
    message_free(d.m);
    auth_free(d.auth);
    dns_free(d.dns);
    uv_run(&d.loop, UV_RUN_DEFAULT);
    uv_loop_close(&d.loop);
    arena_free(d.arena);
    settings_free(set);
    return 0;
}

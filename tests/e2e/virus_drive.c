/* Drives src/virus by hand, for test_virus.py.
 *
 *   virus_drive scan [max=BYTES] [timeout=MS] [connect=MS] [probe=MS] ADDRESS...
 *       reads file names, one a line, each optionally preceded by "nofd "; scans each as it comes
 * and prints "NAME STATE|signature|engine|detail" when its answer is there. virus_drive engine
 * DATABASE SOCKET runs the embedded engine on SOCKET until stdin ends; prints "ready". */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "ipc/link.h"
#include "virus/engine.h"
#include "virus/virus.h"

struct drive {
    uv_loop_t loop;
    uv_pipe_t in;
    struct virus_settings set;
    struct virus_pool *pool;
    struct buf lines;
    int scanning;
    bool ended;
};

struct one {
    struct drive *d;
    struct message *m;
    char *name;
    int fd;
};

static void maybe_end(struct drive *d)
{
    if (!d->ended || d->scanning)
        return;
    virus_pool_free(d->pool);
    d->pool = NULL;
}

static void scanned(void *ctx, struct message *m)
{
    struct one *o = ctx;
    static const char *const states[] = {"NOT_RUN",   "CLEAN",     "FOUND",    "ERROR",
                                         "NO_ENGINE", "TOO_LARGE", "ENCRYPTED"};
    const struct virus_facts *v = &m->facts.virus;
    printf("%s %s|%.*s|%.*s|%.*s\n", o->name, states[v->state], SPAN_ARG(v->name),
           SPAN_ARG(v->engine), SPAN_ARG(v->detail));
    fflush(stdout);
    struct drive *d = o->d;
    close(o->fd);
    message_free(m);
    free(o->name);
    free(o);
    d->scanning--;
}

static void scan_line(struct drive *d, struct span line)
{
    bool nofd = span_starts(line, SPAN("nofd "));
    struct one *o = xcalloc(1, sizeof *o);
    line = span_from(line, nofd ? 5 : 0);
    *o = (struct one){d, message_new(0), xasprintf("%.*s", SPAN_ARG(line)), -1};
    o->fd = open(o->name, O_RDONLY | O_CLOEXEC);
    if (o->fd < 0 || message_map(o->m, o->fd)) {
        perror(o->name);
        exit(2);
    }
    d->scanning++;
    virus_scan(d->pool, o->m, nofd ? -1 : o->fd, scanned, o);
}

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
    (void)h;
    *b = uv_buf_init(xmalloc(want), (unsigned)want);
}

static void on_read(uv_stream_t *in, ssize_t n, const uv_buf_t *b)
{
    struct drive *d = in->data;
    if (n > 0)
        buf_add(&d->lines, span_of(b->base, (size_t)n));
    free(b->base);
    size_t lf;
    while ((lf = span_find(buf_span(&d->lines), '\n')) != SIZE_MAX) {
        scan_line(d, span_sub(buf_span(&d->lines), 0, lf));
        buf_drop(&d->lines, lf + 1);
    }
    if (n < 0) {
        d->ended = true;
        uv_close((uv_handle_t *)in, NULL);
    }
}

static int scan(int argc, char **argv)
{
    struct drive d = {.set = {.enabled = true,
                              .connect_timeout = USEC_PER_SEC,
                              .scan_timeout = 10 * USEC_PER_SEC,
                              .probe_interval = 100 * 1000,
                              .max_size = 100 << 20}};
    static const struct {
        const char *name;
        size_t at;
        long long unit;
    } options[] = {
        {"max=", offsetof(struct virus_settings, max_size), 1},
        {"timeout=", offsetof(struct virus_settings, scan_timeout), 1000},
        {"connect=", offsetof(struct virus_settings, connect_timeout), 1000},
        {"probe=", offsetof(struct virus_settings, probe_interval), 1000},
    };
    const char **engines = xcalloc((size_t)argc + 1, sizeof *engines);
    for (int i = 0; i < argc; i++) {
        size_t k = 0;
        while (k < 4 && strncmp(argv[i], options[k].name, strlen(options[k].name)) != 0)
            k++;
        int64_t value = k < 4 ? strtoll(strchr(argv[i], '=') + 1, NULL, 10) * options[k].unit : 0;
        if (k < 4)
            memcpy((char *)&d.set + options[k].at, &value, sizeof value);
        else
            engines[d.set.clamd.n++] = argv[i];
    }
    d.set.clamd.v = engines;
    uv_loop_init(&d.loop);
    d.pool = virus_pool_new(&d.loop, &d.set, NULL);
    uv_pipe_init(&d.loop, &d.in, 0);
    d.in.data = &d;
    uv_pipe_open(&d.in, STDIN_FILENO);
    uv_read_start((uv_stream_t *)&d.in, on_alloc, on_read);
    while (d.pool && uv_run(&d.loop, UV_RUN_ONCE))
        maybe_end(&d);
    maybe_end(&d);
    uv_run(&d.loop, UV_RUN_DEFAULT);
    uv_loop_close(&d.loop);
    buf_free(&d.lines);
    free(engines);
    return 0;
}

static int engine(const char *database, const char *path)
{
    struct settings set = {.virus = {.enabled = true,
                                     .embedded = true,
                                     .database = database,
                                     .scan_timeout = 10 * USEC_PER_SEC,
                                     .max_size = 1 << 20}};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct err why;
    int links[2], sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    if (!virus_engine_possible(&set.virus, &why)) {
        fprintf(stderr, "%s\n", why.text);
        return 3;
    }
    unlink(path);
    if (bind(sock, (struct sockaddr *)&un, sizeof un) || listen(sock, 64) || link_pair(links)) {
        perror(path);
        return 2;
    }
    pid_t child = fork();
    if (child == 0) {
        close(links[0]);
        _exit(virus_engine_main(&set, sock, links[1]));
    }
    close(links[1]);
    struct pollfd fds[2] = {{.fd = links[0], .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    char byte;
    while (poll(fds, 2, -1) >= 0) {
        int type = fds[0].revents ? link_fetch(links[0], ROLE_SUPERVISOR, ROLE_VIRUS) : 0;
        if (type == FRAME_READY) {
            puts("ready");
            fflush(stdout);
        }
        if (type < 0)
            break;
        if (fds[1].revents && read(0, &byte, 1) <= 0) {
            link_post(links[0], ROLE_SUPERVISOR, ROLE_VIRUS, FRAME_DRAIN, SPAN(""), -1);
            break;
        }
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "scan") == 0)
        return scan(argc - 2, argv + 2);
    if (argc == 4 && strcmp(argv[1], "engine") == 0)
        return engine(argv[2], argv[3]);
    fputs("usage: virus_drive scan|engine ...\n", stderr);
    return 64;
}

/* The SMTP client against a server that says anything. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "deliver/client.h"
#include "queue/queue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct talk {
    struct client *c;
    struct transaction t;
    unsigned left;
    bool ended;
};

static int64_t read_text(void *ctx, uint64_t at, void *to, size_t n)
{
    static const char text[] = "Subject: x\r\n\r\n.dot\r\nbody\r\n";
    (void)ctx;
    if (n > sizeof text - 1 - at)
        n = sizeof text - 1 - (size_t)at;
    memcpy(to, text + at, n);
    return (int64_t)n;
}

static void next(void *ctx)
{
    struct talk *k = ctx;
    for (size_t i = 0; i < k->t.nrcpts; i++)
        k->t.answers[i] = (struct answer){ANSWER_NONE, SPAN_NONE};
    if (k->left--)
        client_send(k->c, &k->t);
    else
        client_quit(k->c);
}

static void on_done(void *ctx)
{
    struct talk *k = ctx;
    for (size_t i = 0; i < k->t.nrcpts; i++)
        if (k->t.answers[i].class == ANSWER_NONE)
            abort(); /* every recipient has its last word */
    next(k);
}

static void on_end(void *ctx, enum client_end end, struct span why)
{
    struct talk *k = ctx;
    (void)why;
    k->ended = true;
    for (size_t i = 0; end == CLIENT_LOST && i < k->t.nrcpts; i++)
        if (k->t.answers[i].class == ANSWER_NONE)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    uv_loop_t loop;
    if (size < 1 || size > 60000 || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
        return 0;
    uv_loop_init(&loop);
    struct rcpt rcpts[2] = {{.addr = SPAN("a@example.org")}, {.addr = SPAN("b@example.org")}};
    struct envelope env = {.from = SPAN("s@example.org"), .rcpts = rcpts, .nrcpts = 2};
    uint32_t which[2] = {0, 1};
    struct answer answers[2];
    char text[64];
    int64_t n = read_text(NULL, 0, text, sizeof text);
    struct talk k = {.left = 3};
    k.t = (struct transaction){.arena = arena_new(0),
                               .env = &env,
                               .rcpts = which,
                               .nrcpts = 2,
                               .probe = data[0] & 2,
                               .size = (uint64_t)n,
                               .crc = queue_crc(0, span_of(text, (size_t)n)),
                               .checksum = queue_crc,
                               .read = read_text,
                               .answers = answers};
    struct client_options o = {.helo = "h", .lmtp = data[0] & 1};
    o.connect_timeout = o.command_timeout = o.data_timeout = 10 * USEC_PER_SEC;
    struct client_events ev = {next, on_done, on_end};
    if (write(fds[1], data + 1, size - 1) < 0)
        abort();
    shutdown(fds[1], SHUT_WR);
    k.c = client_fd(&loop, fds[0], &o, &ev, &k);
    uv_run(&loop, UV_RUN_DEFAULT);
    if (!k.ended || uv_loop_close(&loop) != 0)
        abort();
    close(fds[1]);
    arena_free(k.t.arena);
    return 0;
}

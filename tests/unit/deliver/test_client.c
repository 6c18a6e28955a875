/* Dialogues of the SMTP client with a scripted server. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "deliver/client.h"
#include "queue/queue.h"

/* The server: for each line (or, with ".", all lines up to the dot) that starts with `expect` it
 * says `reply`. An empty expect speaks without being asked; a NULL reply closes. */
struct turn {
    const char *expect, *reply;
};

struct server {
    int fd;
    const struct turn *script;
    struct buf got; /* everything received */
    char wrong[256];
};

static bool read_line(struct server *s, FILE *in, char *line, size_t size)
{
    if (!fgets(line, (int)size, in))
        return false;
    buf_str(&s->got, line);
    return true;
}

static void *serve(void *arg)
{
    struct server *s = arg;
    FILE *in = fdopen(dup(s->fd), "r");
    char line[4096];
    for (const struct turn *t = s->script; t->expect; t++) {
        bool data = strcmp(t->expect, ".") == 0;
        if (t->expect[0]) {
            bool there;
            do {
                there = read_line(s, in, line, sizeof line);
            } while (there && data && strcmp(line, ".\r\n") != 0);
            if (!there || (!data && strncmp(line, t->expect, strlen(t->expect)) != 0)) {
                snprintf(s->wrong, sizeof s->wrong, "expected '%s', got '%.100s'", t->expect,
                         there ? line : "the end");
                break;
            }
        }
        if (!t->reply)
            break;
        if (write(s->fd, t->reply, strlen(t->reply)) < 0)
            break;
    }
    shutdown(s->fd, SHUT_RDWR);
    fclose(in);
    return NULL;
}

struct talk {
    uv_loop_t loop;
    struct server server;
    pthread_t thread;
    struct client *c;
    struct client_options o;
    struct transaction t;
    struct arena *a;
    struct envelope env;
    struct rcpt rcpts[4];
    uint32_t which[4];
    struct answer answers[4];
    struct span text;
    bool started, ready, done, ended;
    unsigned sends; /* transactions to carry */
    enum client_end end;
    char why[256];
};

static int64_t read_text(void *ctx, uint64_t at, void *to, size_t n)
{
    struct talk *k = ctx;
    if (n > k->text.n - at)
        n = k->text.n - at;
    memcpy(to, k->text.p + at, n);
    return (int64_t)n;
}

static void send_one(struct talk *k)
{
    k->sends--;
    client_send(k->c, &k->t);
}

static void on_ready(void *ctx)
{
    struct talk *k = ctx;
    k->ready = true;
    if (k->sends)
        send_one(k);
    else
        client_quit(k->c);
}

static void on_done(void *ctx)
{
    struct talk *k = ctx;
    k->done = true;
    if (k->sends)
        send_one(k);
    else
        client_quit(k->c);
}

static void on_end(void *ctx, enum client_end end, struct span why)
{
    struct talk *k = ctx;
    k->ended = true;
    k->end = end;
    snprintf(k->why, sizeof k->why, "%.*s", SPAN_ARG(why));
}

static void begin(struct talk *k, const char *text)
{
    memset(k, 0, sizeof *k);
    uv_loop_init(&k->loop);
    k->a = arena_new(0);
    k->text = span_str(text);
    k->env.from = SPAN("s@example.org");
    k->env.rcpts = k->rcpts;
    k->env.nrcpts = 1;
    k->rcpts[0].addr = SPAN("a@example.net");
    k->rcpts[1].addr = SPAN("b@example.net");
    k->rcpts[2].addr = SPAN("c@example.net");
    for (uint32_t i = 0; i < 4; i++)
        k->which[i] = i;
    k->t = (struct transaction){.arena = k->a,
                                .env = &k->env,
                                .from = k->env.from,
                                .rcpts = k->which,
                                .nrcpts = 1,
                                .size = k->text.n,
                                .crc = queue_crc(0, k->text),
                                .checksum = queue_crc,
                                .read = read_text,
                                .read_ctx = k,
                                .answers = k->answers};
    k->o = (struct client_options){.helo = "gate.test",
                                   .connect_timeout = USEC_PER_SEC,
                                   .command_timeout = USEC_PER_SEC,
                                   .data_timeout = USEC_PER_SEC};
    k->sends = 1;
}

static void run(struct talk *k, const struct turn *script)
{
    int fds[2];
    struct client_events ev = {on_ready, on_done, on_end};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    k->server.fd = fds[1];
    k->server.script = script;
    assert_int_equal(pthread_create(&k->thread, NULL, serve, &k->server), 0);
    k->c = client_fd(&k->loop, fds[0], &k->o, &ev, k);
    uv_run(&k->loop, UV_RUN_DEFAULT);
    assert_true(k->ended);
    pthread_join(k->thread, NULL);
    close(fds[1]);
    buf_char(&k->server.got, 0);
}

static void finish(struct talk *k)
{
    assert_int_equal(uv_loop_close(&k->loop), 0);
    arena_free(k->a);
    buf_free(&k->server.got);
}

static void is(const struct answer *a, enum answer_class class, const char *text)
{
    assert_int_equal(a->class, class);
    char got[512];
    snprintf(got, sizeof got, "%.*s", SPAN_ARG(a->text));
    assert_string_equal(got, text);
}

#define EHLO_FULL                                                                                  \
    "250-sink\r\n250-PIPELINING\r\n250-SIZE 10000\r\n250-8BITMIME\r\n250-DSN\r\n250 SMTPUTF8\r\n"

static void one_message(void **state)
{
    (void)state;
    struct talk k;
    begin(&k, "Subject: x\r\n\r\n.dot\r\n..two\r\nend\r\n");
    k.env.body_8bit = true;
    k.env.ret = RET_HDRS;
    k.env.envid = SPAN("a+b c");
    k.rcpts[0].notify = NOTIFY_SUCCESS | NOTIFY_FAILURE;
    k.rcpts[0].orcpt = SPAN("rfc822;o+x@example.com");
    run(&k, (struct turn[]){{"", "220 sink\r\n"},
                            {"EHLO gate.test", EHLO_FULL},
                            {"MAIL FROM:<s@example.org> SIZE=32 BODY=8BITMIME RET=HDRS "
                             "ENVID=a+2Bb+20c\r\n",
                             "250 ok\r\n"},
                            {"RCPT TO:<a@example.net> NOTIFY=SUCCESS,FAILURE "
                             "ORCPT=rfc822;o+2Bx@example.com\r\n",
                             "250 ok\r\n"},
                            {"DATA\r\n", "354 go\r\n"},
                            {".", "250-2.0.0 kept\r\n250 2.0.0 as 17\r\n"},
                            {"QUIT", "221 bye\r\n"},
                            {NULL, NULL}});
    assert_string_equal(k.server.wrong, "");
    is(&k.answers[0], ANSWER_OK, "250 2.0.0 kept as 17");
    assert_true(k.t.dsn_passed);
    assert_non_null(strstr(k.server.got.p, "\r\n\r\n..dot\r\n...two\r\nend\r\n.\r\n"));
    assert_int_equal(k.end, CLIENT_CLOSED);
    finish(&k);
}

static void recipients_fare_differently(void **state)
{
    (void)state;
    struct talk k;
    begin(&k, "x\r\n");
    k.env.nrcpts = k.t.nrcpts = 3;
    run(&k, (struct turn[]){{"", "220 sink\r\n"},
                            {"EHLO", EHLO_FULL},
                            {"MAIL", "250 ok\r\n"},
                            {"RCPT TO:<a", "550 5.1.1 nobody\r\n"},
                            {"RCPT TO:<b", "452 4.2.2 full\r\n"},
                            {"RCPT TO:<c", "250 ok\r\n"},
                            {"DATA", "354 go\r\n"},
                            {".", "250 2.0.0 kept\r\n"},
                            {"QUIT", "221 bye\r\n"},
                            {NULL, NULL}});
    assert_string_equal(k.server.wrong, "");
    is(&k.answers[0], ANSWER_PERM, "550 5.1.1 nobody");
    is(&k.answers[1], ANSWER_TEMP, "452 4.2.2 full");
    is(&k.answers[2], ANSWER_OK, "250 2.0.0 kept");
    finish(&k);
}

/* Pipelined into a server that refuses everybody and still says 354: it gets an empty message. */
static void nobody_left_and_354(void **state)
{
    (void)state;
    struct talk k;
    begin(&k, "secret\r\n");
    run(&k, (struct turn[]){{"", "220 sink\r\n"},
                            {"EHLO", EHLO_FULL},
                            {"MAIL", "250 ok\r\n"},
                            {"RCPT", "550 5.1.1 nobody\r\n"},
                            {"DATA", "354 go\r\n"},
                            {".", "554 no recipients\r\n"},
                            {"QUIT", "221 bye\r\n"},
                            {NULL, NULL}});
    assert_string_equal(k.server.wrong, "");
    assert_null(strstr(k.server.got.p, "secret"));
    is(&k.answers[0], ANSWER_PERM, "550 5.1.1 nobody");
    finish(&k);
}

/* After a refused transaction the next one begins with RSET. */
static void two_messages_on_one_connection(void **state)
{
    (void)state;
    struct talk k;
    begin(&k, "x\r\n");
    k.sends = 2;
    run(&k, (struct turn[]){{"", "220 sink\r\n"},
                            {"EHLO", EHLO_FULL},
                            {"MAIL", "250 ok\r\n"},
                            {"RCPT", "450 later\r\n"},
                            {"DATA", "503 no\r\n"},
                            {"RSET", "250 ok\r\n"},
                            {"MAIL", "250 ok\r\n"},
                            {"RCPT", "250 ok\r\n"},
                            {"DATA", "354 go\r\n"},
                            {".", "250 2.0.0 kept\r\n"},
                            {"QUIT", "221 bye\r\n"},
                            {NULL, NULL}});
    assert_string_equal(k.server.wrong, "");
    finish(&k);
}

static void without_extensions_step_by_step(void **state)
{
    (void)state;
    struct talk k;
    begin(&k, "x\ry\nz");
    run(&k, (struct turn[]){{"", "220 old\r\n"},
                            {"EHLO", "502 what?\r\n"},
                            {"HELO gate.test", "250 old\r\n"},
                            {"MAIL FROM:<s@example.org>\r\n", "250 ok\r\n"},
                            {"RCPT TO:<a@example.net>\r\n", "250 ok\r\n"},
                            {"DATA", "354 go\r\n"},
                            {".", "250 kept\r\n"},
                            {"QUIT", "221 bye\r\n"},
                            {NULL, NULL}});
    assert_string_equal(k.server.wrong, "");
    is(&k.answers[0], ANSWER_OK, "250 kept");
    /* No bare CR or LF leaves us. */
    assert_non_null(strstr(k.server.got.p, "DATA\r\nx\r\ny\r\nz\r\n.\r\n"));
    finish(&k);
}

static void a_refused_sender_stops_step_by_step(void **state)
{
    (void)state;
    struct talk k;
    begin(&k, "x\r\n");
    run(&k, (struct turn[]){{"", "220 old\r\n"},
                            {"EHLO", "250 old\r\n"},
                            {"MAIL", "550 5.7.1 not you\r\n"},
                            {"QUIT", "221 bye\r\n"},
                            {NULL, NULL}});
    assert_string_equal(k.server.wrong, "");
    is(&k.answers[0], ANSWER_PERM, "550 5.7.1 not you");
    finish(&k);
}

static void lmtp_answers_for_each(void **state)
{
    (void)state;
    struct talk k;
    begin(&k, "x\r\n");
    k.o.lmtp = true;
    k.env.nrcpts = k.t.nrcpts = 3;
    run(&k, (struct turn[]){{"", "220 store\r\n"},
                            {"LHLO", "250-store\r\n250 PIPELINING\r\n"},
                            {"MAIL", "250 ok\r\n"},
                            {"RCPT TO:<a", "250 ok\r\n"},
                            {"RCPT TO:<b", "550 5.1.1 nobody\r\n"},
                            {"RCPT TO:<c", "250 ok\r\n"},
                            {"DATA", "354 go\r\n"},
                            {".", "250 2.0.0 a has it\r\n452 4.2.2 c is full\r\n"},
                            {"QUIT", "221 bye\r\n"},
                            {NULL, NULL}});
    assert_string_equal(k.server.wrong, "");
    is(&k.answers[0], ANSWER_OK, "250 2.0.0 a has it");
    is(&k.answers[1], ANSWER_PERM, "550 5.1.1 nobody");
    is(&k.answers[2], ANSWER_TEMP, "452 4.2.2 c is full");
    finish(&k);
}

static void lost_in_the_middle(void **state)
{
    (void)state;
    struct talk k;
    begin(&k, "x\r\n");
    run(&k, (struct turn[]){{"", "220 sink\r\n"},
                            {"EHLO", EHLO_FULL},
                            {"MAIL", "250 ok\r\n"},
                            {"RCPT", NULL},
                            {NULL, NULL}});
    assert_int_equal(k.end, CLIENT_LOST);
    assert_int_equal(k.answers[0].class, ANSWER_TEMP);
    assert_true(k.t.heard);
    assert_false(k.t.sent_dot);
    finish(&k);
}

static void a_421_ends_it(void **state)
{
    (void)state;
    struct talk k;
    begin(&k, "x\r\n");
    run(&k, (struct turn[]){{"", "220 sink\r\n"},
                            {"EHLO", EHLO_FULL},
                            {"MAIL", "421 4.3.2 closing\r\n"},
                            {NULL, NULL}});
    assert_int_equal(k.end, CLIENT_LOST);
    is(&k.answers[0], ANSWER_TEMP, "421 4.3.2 closing");
    assert_false(k.t.heard);
    finish(&k);
}

static void not_smtp_at_all(void **state)
{
    (void)state;
    struct talk k;
    begin(&k, "x\r\n");
    run(&k, (struct turn[]){{"", "HTTP/1.1 400 Bad Request\r\n\r\n"}, {NULL, NULL}});
    assert_int_equal(k.end, CLIENT_UNREACHABLE);
    assert_int_equal(k.answers[0].class, ANSWER_NONE);
    finish(&k);
    begin(&k, "x\r\n");
    run(&k, (struct turn[]){{"", "554 5.7.1 go away\r\n"}, {NULL, NULL}});
    assert_int_equal(k.end, CLIENT_UNREACHABLE);
    assert_string_equal(k.why, "554 5.7.1 go away");
    finish(&k);
}

static void a_silent_server_times_out(void **state)
{
    (void)state;
    struct talk k;
    begin(&k, "x\r\n");
    k.o.command_timeout = 50000;
    run(&k, (struct turn[]){{"", ""}, {"EHLO", "never"}, {NULL, NULL}});
    assert_int_equal(k.end, CLIENT_UNREACHABLE);
    finish(&k);
}

static void utf8_addresses_need_smtputf8(void **state)
{
    (void)state;
    struct talk k;
    begin(&k, "x\r\n");
    k.rcpts[0].addr = SPAN("j\xc3\xb6rg@example.net");
    k.env.smtputf8 = true;
    run(&k, (struct turn[]){{"", "220 sink\r\n"},
                            {"EHLO", "250-sink\r\n250 PIPELINING\r\n"},
                            {"QUIT", "221 bye\r\n"},
                            {NULL, NULL}});
    assert_string_equal(k.server.wrong, "");
    assert_int_equal(k.answers[0].class, ANSWER_PERM);
    assert_true(span_starts(k.answers[0].text, SPAN("550 5.6.7")));
    finish(&k);
    begin(&k, "x\r\n");
    k.rcpts[0].addr = SPAN("j\xc3\xb6rg@example.net");
    k.env.smtputf8 = true;
    run(&k, (struct turn[]){{"", "220 sink\r\n"},
                            {"EHLO", EHLO_FULL},
                            {"MAIL FROM:<s@example.org> SIZE=3 SMTPUTF8\r\n", "250 ok\r\n"},
                            {"RCPT", "250 ok\r\n"},
                            {"DATA", "354 go\r\n"},
                            {".", "250 kept\r\n"},
                            {"QUIT", "221 bye\r\n"},
                            {NULL, NULL}});
    assert_string_equal(k.server.wrong, "");
    finish(&k);
}

static void too_large_is_known_before(void **state)
{
    (void)state;
    struct talk k;
    static char large[20000];
    memset(large, 'x', sizeof large - 1);
    begin(&k, large);
    run(&k, (struct turn[]){
                {"", "220 sink\r\n"}, {"EHLO", EHLO_FULL}, {"QUIT", "221 bye\r\n"}, {NULL, NULL}});
    assert_string_equal(k.server.wrong, "");
    assert_true(span_starts(k.answers[0].text, SPAN("552 5.3.4")));
    finish(&k);
}

/* Bytes that do not check out: the final dot is never sent. */
static void damaged_bytes_are_not_delivered(void **state)
{
    (void)state;
    struct talk k;
    begin(&k, "x\r\n");
    k.t.crc ^= 1;
    run(&k, (struct turn[]){{"", "220 sink\r\n"},
                            {"EHLO", EHLO_FULL},
                            {"MAIL", "250 ok\r\n"},
                            {"RCPT", "250 ok\r\n"},
                            {"DATA", "354 go\r\n"},
                            {".", "250 kept\r\n"},
                            {NULL, NULL}});
    assert_true(k.t.damaged);
    assert_null(strstr(k.server.got.p, "\r\n.\r\n"));
    finish(&k);
}

static void a_probe_sends_nothing(void **state)
{
    (void)state;
    struct talk k;
    begin(&k, "x\r\n");
    k.t.probe = true;
    k.sends = 2;
    run(&k, (struct turn[]){{"", "220 sink\r\n"},
                            {"EHLO", EHLO_FULL},
                            {"MAIL FROM:<>\r\n", "250 ok\r\n"},
                            {"RCPT TO:<a@example.net>\r\n", "250 2.1.5 fine\r\n"},
                            {"RSET", "250 ok\r\n"},
                            {"MAIL FROM:<>\r\n", "250 ok\r\n"},
                            {"RCPT TO:<a@example.net>\r\n", "250 2.1.5 fine\r\n"},
                            {"QUIT", "221 bye\r\n"},
                            {NULL, NULL}});
    assert_string_equal(k.server.wrong, "");
    is(&k.answers[0], ANSWER_OK, "250 2.1.5 fine");
    finish(&k);
}

static void wire_form_in_any_pieces(void **state)
{
    (void)state;
    struct span in = SPAN(".a\r\n.\r\nb\rc\n\r\n..d\r");
    struct buf whole = {0};
    unsigned s = 0;
    wire_body(&whole, in, &s);
    wire_end(&whole, s);
    assert_true(span_eq(buf_span(&whole), SPAN("..a\r\n..\r\nb\r\nc\r\n\r\n...d\r\n.\r\n")));
    for (size_t cut = 0; cut <= in.n; cut++) {
        struct buf b = {0};
        s = 0;
        wire_body(&b, span_sub(in, 0, cut), &s);
        wire_body(&b, span_from(in, cut), &s);
        wire_end(&b, s);
        assert_true(span_eq(buf_span(&b), buf_span(&whole)));
        buf_free(&b);
    }
    buf_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_message),
        cmocka_unit_test(recipients_fare_differently),
        cmocka_unit_test(nobody_left_and_354),
        cmocka_unit_test(two_messages_on_one_connection),
        cmocka_unit_test(without_extensions_step_by_step),
        cmocka_unit_test(a_refused_sender_stops_step_by_step),
        cmocka_unit_test(lmtp_answers_for_each),
        cmocka_unit_test(lost_in_the_middle),
        cmocka_unit_test(a_421_ends_it),
        cmocka_unit_test(not_smtp_at_all),
        cmocka_unit_test(a_silent_server_times_out),
        cmocka_unit_test(utf8_addresses_need_smtputf8),
        cmocka_unit_test(too_large_is_known_before),
        cmocka_unit_test(damaged_bytes_are_not_delivered),
        cmocka_unit_test(a_probe_sends_nothing),
        cmocka_unit_test(wire_form_in_any_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

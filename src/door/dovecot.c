#include "door/dovecot.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "loop/stream.h"
#include "smtp/sasl.h"

enum {
    ANSWER_TIME_S = 30,   /* Dovecot delays a "no" by some seconds */
    LINE_MAX_BYTES = 8192 /* a longer line is not Dovecot's */
};

struct request {
    struct request *next;
    uint64_t id;
    void (*done)(void *ctx, enum users_answer);
    void *ctx;
    char *line; /* until the handshake is done */
};

struct dovecot {
    uv_loop_t *loop;
    char *path;
    struct stream *stream; /* NULL: not connected */
    bool ready, closing;
    uint64_t next_id;
    struct request *requests;
};

static void answer(struct dovecot *d, uint64_t id, enum users_answer a)
{
    for (struct request **p = &d->requests; *p; p = &(*p)->next) {
        struct request *r = *p;
        if (r->id != id)
            continue;
        *p = r->next;
        r->done(r->ctx, a);
        free(r->line);
        free(r);
        return;
    }
}

static void answer_all(struct dovecot *d, enum users_answer a)
{
    while (d->requests)
        answer(d, d->requests->id, a);
}

static void send_line(struct dovecot *d, struct request *r)
{
    if (!r->line)
        return;
    stream_write(d->stream, span_str(r->line));
    sodium_memzero(r->line, strlen(r->line));
    free(r->line);
    r->line = NULL;
}

static void on_ready(struct dovecot *d)
{
    d->ready = true;
    for (struct request *r = d->requests; r; r = r->next)
        send_line(d, r);
}

/* OK, FAIL and CONT carry the id of the request; the rest is handshake. */
static void on_line(struct dovecot *d, struct span line)
{
    struct span word = span_word(&line, "\t"), number = span_word(&line, "\t");
    uint64_t id;
    if (span_eq(word, SPAN("DONE"))) {
        on_ready(d);
        return;
    }
    bool yes = span_eq(word, SPAN("OK"));
    if ((!yes && !span_eq(word, SPAN("FAIL")) && !span_eq(word, SPAN("CONT"))) ||
        !span_u64(number, &id))
        return;
    bool temporary = false;
    for (struct span field; (field = span_word(&line, "\t")).p;)
        temporary = temporary || span_eq(field, SPAN("temp"));
    answer(d, id, yes ? USERS_YES : temporary ? USERS_TROUBLE : USERS_NO);
}

static size_t on_data(void *ctx, struct span bytes)
{
    struct dovecot *d = ctx;
    size_t used = 0;
    for (;;) {
        struct span rest = span_from(bytes, used);
        size_t nl = span_find(rest, '\n');
        if (nl == SIZE_MAX) {
            if (rest.n > LINE_MAX_BYTES)
                stream_close(d->stream);
            break;
        }
        used += nl + 1;
        on_line(d, span_sub(rest, 0, nl));
    }
    /* Silence is a failure only while an answer is due. */
    stream_deadline(d->stream, d->requests ? ANSWER_TIME_S * USEC_PER_SEC : 0);
    return used;
}

static void on_timeout(void *ctx)
{
    struct dovecot *d = ctx;
    stream_close(d->stream);
}

static void on_close(void *ctx, const char *why)
{
    struct dovecot *d = ctx;
    d->stream = NULL;
    d->ready = false;
    if (d->closing) {
        free(d->path);
        free(d);
        return;
    }
    if (d->requests)
        log_event(LOG_WARN, NULL, "dovecot-gone", F_STR("socket", d->path), F_STR("why", why));
    answer_all(d, USERS_TROUBLE);
}

static const struct stream_events events = {
    .on_data = on_data, .on_timeout = on_timeout, .on_close = on_close};

static void connect_now(struct dovecot *d)
{
    char hello[64];
    d->stream = stream_connect_unix(d->loop, d->path, &events, d);
    snprintf(hello, sizeof hello, "VERSION\t1\t1\nCPID\t%ld\n", (long)getpid());
    stream_write(d->stream, span_str(hello));
}

struct dovecot *dovecot_open(uv_loop_t *loop, const char *socket)
{
    struct dovecot *d = xcalloc(1, sizeof *d);
    d->loop = loop;
    d->path = xstrdup(socket);
    return d;
}

void dovecot_close(struct dovecot *d)
{
    answer_all(d, USERS_TROUBLE);
    d->closing = true;
    if (d->stream) {
        stream_close(d->stream);
        return;
    }
    free(d->path);
    free(d);
}

/* AUTH id PLAIN service=smtp [secured] [rip=..] nologin resp=<base64>; resp must be the last. */
static char *request_line(uint64_t id, const struct dovecot_request *r)
{
    char plain[SASL_USER_MAX + SASL_PASSWORD_MAX + 3], ip[IP_TEXT_SIZE] = "";
    size_t user_n = strlen(r->user), password_n = strlen(r->password);
    plain[0] = '\0';
    memcpy(plain + 1, r->user, user_n + 1);
    memcpy(plain + 2 + user_n, r->password, password_n);
    char coded[2 * sizeof plain];
    sodium_bin2base64(coded, sizeof coded, (unsigned char *)plain, 2 + user_n + password_n,
                      sodium_base64_VARIANT_ORIGINAL);
    char *line = xasprintf("AUTH\t%llu\tPLAIN\tservice=smtp%s%s%s\tnologin\tresp=%s\n",
                           (unsigned long long)id, r->secured ? "\tsecured" : "",
                           r->ip ? "\trip=" : "", r->ip ? ip_text(r->ip, ip) : "", coded);
    sodium_memzero(plain, sizeof plain);
    sodium_memzero(coded, sizeof coded);
    return line;
}

void dovecot_check(struct dovecot *d, const struct dovecot_request *req,
                   void (*done)(void *ctx, enum users_answer), void *ctx)
{
    struct request *r = xcalloc(1, sizeof *r);
    *r = (struct request){d->requests, ++d->next_id, done, ctx, NULL};
    r->line = request_line(r->id, req);
    d->requests = r;
    if (!d->stream)
        connect_now(d);
    else if (d->ready)
        send_line(d, r);
    stream_deadline(d->stream, ANSWER_TIME_S * USEC_PER_SEC);
}

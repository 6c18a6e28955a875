/* The form of SpamAssassin's reports: multipart/mixed with one message/rfc822 part. */
#include "cli/spamcop.h"

#include <curl/curl.h>
#include <stdio.h>
#include <time.h>
#include <zlib.h>

#include "deliver/client.h"
#include "mime/compose.h"
#include "relays/relays.h"

enum { PORT = 587, TIMEOUT = 10 };

const char *spamcop_from(const struct settings *set, struct arena *a)
{
    return set->spamcop.from ? set->spamcop.from
                             : arena_printf(a, "postmaster@%s", set->hostname).p;
}

int64_t spamcop_received(struct arena *a, struct span raw)
{
    struct mime *m = mime_parse(a, raw, &MIME_LIMITS_DEFAULT);
    const struct mime_fields *f = &m->root->fields;
    size_t at = mime_find(f, SPAN("Received"), 0);
    struct span date = SPAN_NONE;
    if (at < f->n) {
        date = mime_decoded(m, &f->v[at]);
        size_t semicolon = span_rfind(date, ';');
        date = semicolon == SIZE_MAX ? SPAN_NONE : span_from(date, semicolon + 1);
    }
    at = mime_find(f, SPAN("Date"), 0);
    if (!date.n && at < f->n)
        date = mime_decoded(m, &f->v[at]);
    int64_t when = date.n ? (int64_t)curl_getdate(arena_cstr(a, span_trim(date)), NULL) : -1;
    return when > 0 ? when : 0;
}

/* Which hosts it went through, as SpamAssassin tells SpamCop. */
static struct relays *relays_of(const struct settings *set, struct arena *a, struct span raw)
{
    struct relays_settings s = {0};
    const struct {
        const struct strings *words;
        struct netset *nets;
    } rows[] = {{&set->rules.trusted_networks, &s.trusted},
                {&set->rules.internal_networks, &s.internal},
                {&set->rules.msa_networks, &s.msa}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t k = 0; k < rows[i].words->n; k++)
            rows[i].nets->configured |= netset_add(rows[i].nets, a, span_str(rows[i].words->v[k]));
    netset_add(&s.trusted, a, SPAN("127.0.0.0/8"));
    netset_add(&s.internal, a, SPAN("127.0.0.0/8"));
    return relays_parse(mime_parse(a, raw, &MIME_LIMITS_DEFAULT), &s, NULL);
}

static void add_body(const struct settings *set, struct span raw, struct buf *out)
{
    uint64_t most = set->spamcop.max_size;
    bool cut = raw.n > most;
    for (size_t i = 0; i < raw.n && (!cut || i < most); i++)
        if (raw.p[i] != '\r' || i + 1 >= raw.n || raw.p[i + 1] != '\n')
            buf_char(out, raw.p[i]);
    if (cut)
        buf_str(out, "\n[truncated by Gatehouse]\n");
}

void spamcop_compose(const struct settings *set, struct arena *a, struct span raw, int64_t now,
                     struct buf *out)
{
    char boundary[COMPOSE_BOUNDARY_SIZE], date[64];
    struct tm tm;
    time_t t = (time_t)now;
    struct relays *r = relays_of(set, a, raw);
    gmtime_r(&t, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &tm);
    compose_boundary(boundary);
    buf_printf(out,
               "From: %s\nTo: %s\nSubject: report spam\nDate: %s\nMessage-Id: <%s@%s>\n"
               "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"%s\"\n\n"
               "This is a multi-part message in MIME format.\n\n--%s\n",
               spamcop_from(set, a), set->spamcop.to, date, boundary + 2, set->hostname, boundary,
               boundary);
    buf_printf(out,
               "Content-Type: message/rfc822; x-spam-type=report\n"
               "Content-Description: spam report via Gatehouse " GATEHOUSE_VERSION "\n"
               "Content-Disposition: attachment\nContent-Transfer-Encoding: 8bit\n"
               "X-Spam-Relays-Trusted: %.*s\nX-Spam-Relays-Untrusted: %.*s\n\n",
               SPAN_ARG(r->trusted_text), SPAN_ARG(r->untrusted_text));
    add_body(set, raw, out);
    buf_printf(out, "\n--%s--\n\n", boundary);
}

/* --- sending --- */

struct sending {
    struct transaction t;
    struct client *client;
    struct span report;
    struct ip ip;
    bool found, over, sent;
    struct err *e;
};

static uint32_t sum(uint32_t crc, struct span bytes)
{
    return (uint32_t)crc32(crc, (const unsigned char *)bytes.p, (unsigned)bytes.n);
}

static int64_t read_report(void *ctx, uint64_t at, void *to, size_t n)
{
    const struct sending *s = ctx;
    struct span piece = span_sub(s->report, (size_t)at, (size_t)at + n);
    if (piece.n)
        memcpy(to, piece.p, piece.n);
    return (int64_t)piece.n;
}

static void on_ready(void *ctx)
{
    struct sending *s = ctx;
    client_send(s->client, &s->t);
}

static void on_done(void *ctx)
{
    struct sending *s = ctx;
    s->sent = s->t.answers[0].class == ANSWER_OK;
    if (!s->sent)
        err_set(s->e, "%.*s", SPAN_ARG(s->t.answers[0].text));
    client_quit(s->client);
}

static void on_end(void *ctx, enum client_end end, struct span why)
{
    struct sending *s = ctx;
    if (end != CLIENT_CLOSED && !s->sent)
        err_set(s->e, "%.*s", SPAN_ARG(why));
    s->over = true;
}

static void on_addresses(void *ctx, enum dns_status st, const struct ip *v, size_t n)
{
    struct sending *s = ctx;
    s->found = st == DNS_OK && n;
    if (s->found)
        s->ip = v[0];
    s->over = true;
}

struct mx {
    char host[DNS_NAME_MAX];
    bool over;
};

static void on_mx(void *ctx, enum dns_status st, const struct dns_mx *v, size_t n)
{
    struct mx *mx = ctx;
    if (st == DNS_OK && n)
        snprintf(mx->host, sizeof mx->host, "%s", v[0].host);
    mx->over = true;
}

/* Where it goes: spamcop.relay, or the first MX. -1: nowhere. */
static int find_host(const struct settings *set, uv_loop_t *loop, struct dns *dns, char *host,
                     size_t size, uint16_t *port, struct err *e)
{
    struct span relay = span_str(set->spamcop.relay);
    uint64_t n = PORT;
    if (relay.p) {
        size_t colon = span_rfind(relay, ':');
        span_u64(span_from(relay, colon + 1), &n);
        relay = span_sub(relay, 0, colon);
        if (relay.n > 2 && relay.p[0] == '[')
            relay = span_sub(relay, 1, relay.n - 1);
        snprintf(host, size, "%.*s", SPAN_ARG(relay));
    } else {
        struct mx mx = {0};
        dns_mx(dns, span_str(strrchr(set->spamcop.to, '@') + 1), on_mx, &mx);
        while (!mx.over)
            uv_run(loop, UV_RUN_ONCE);
        snprintf(host, size, "%s", mx.host);
    }
    *port = (uint16_t)n;
    return host[0] ? 0 : err_set(e, "%s: its domain has no MX", set->spamcop.to);
}

int spamcop_send(const struct settings *set, uv_loop_t *loop, struct dns *dns, struct arena *a,
                 struct span report, struct err *e)
{
    static const struct client_events events = {on_ready, on_done, on_end};
    static const uint32_t first = 0;
    char host[DNS_NAME_MAX];
    uint16_t port;
    struct rcpt rcpt = {.addr = span_str(set->spamcop.to)};
    const struct envelope env = {
        .from = span_str(spamcop_from(set, a)), .rcpts = &rcpt, .nrcpts = 1, .body_8bit = true};
    struct sending s = {.report = report, .e = e};
    if (find_host(set, loop, dns, host, sizeof host, &port, e) != 0)
        return -1;
    s.found = ip_parse(span_str(host), &s.ip);
    if (!s.found) {
        dns_addresses(dns, span_str(host), on_addresses, &s);
        while (!s.over)
            uv_run(loop, UV_RUN_ONCE);
        s.over = false;
    }
    if (!s.found)
        return err_set(e, "%s has no address", host);
    const struct client_options o = {.helo = set->hostname,
                                     .tls = DTLS_NONE,
                                     .connect_timeout = TIMEOUT * USEC_PER_SEC,
                                     .command_timeout = TIMEOUT * USEC_PER_SEC,
                                     .data_timeout = TIMEOUT * USEC_PER_SEC};
    s.t = (struct transaction){.arena = a,
                               .env = &env,
                               .from = env.from,
                               .rcpts = &first,
                               .nrcpts = 1,
                               .size = report.n,
                               .crc = sum(0, report),
                               .checksum = sum,
                               .read = read_report,
                               .read_ctx = &s,
                               .answers = arena_array(a, 1, sizeof(struct answer))};
    s.client = client_tcp(loop, &s.ip, port, &o, &events, &s);
    while (!s.over)
        uv_run(loop, UV_RUN_ONCE);
    if (!s.sent)
        err_prefix(e, "%s:%u", host, port);
    return s.sent ? 0 : -1;
}

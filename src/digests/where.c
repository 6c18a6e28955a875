#include "digests/where.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"

struct where_question {
    struct dns_question *asked;
    where_done *done;
    void *ctx;
};

static bool keep(char *out, size_t size, struct span s)
{
    if (s.n == 0 || s.n >= size || memchr(s.p, '\0', s.n))
        return false;
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}

int where_parse(const char *text, struct where *out, struct err *e)
{
    struct span s = span_str(text);
    *out = (struct where){0};
    snprintf(out->text, sizeof out->text, "%.*s", SPAN_ARG(s));
    if (span_starts(s, SPAN("unix:")))
        s = span_from(s, 5);
    if (span_starts(s, SPAN("/")))
        return keep(out->path, sizeof out->path, s)
                   ? 0
                   : err_set(e, "%s: the path of a socket has at most %zu bytes", text,
                             sizeof out->path - 1);
    size_t colon = span_rfind(s, ':');
    struct span host = span_sub(s, 0, colon == SIZE_MAX ? 0 : colon);
    uint64_t port = 0;
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = span_sub(host, 1, host.n - 1);
    if (!keep(out->host, sizeof out->host, host) || !span_u64(span_from(s, colon + 1), &port) ||
        port == 0 || port > 65535)
        return err_set(e, "%s: expected HOST:PORT, or unix:PATH where a socket is meant", text);
    out->port = (uint16_t)port;
    return 0;
}

static void on_addresses(void *ctx, enum dns_status st, const struct ip *v, size_t n)
{
    struct where_question *q = ctx;
    where_done *done = q->done;
    void *to = q->ctx;
    free(q);
    done(to, st == DNS_OK && n ? &v[0] : NULL,
         st == DNS_NONE ? "its name has no address" : "its name is not answered by the DNS");
}

struct where_question *where_find(struct dns *d, const struct where *w, where_done *done, void *ctx)
{
    struct ip ip;
    if (ip_parse(span_str(w->host), &ip)) {
        done(ctx, &ip, NULL);
        return NULL;
    }
    if (strcmp(w->host, "localhost") == 0 && ip_parse(SPAN("127.0.0.1"), &ip)) {
        done(ctx, &ip, NULL);
        return NULL;
    }
    if (!d) {
        done(ctx, NULL, "its name can't be looked up");
        return NULL;
    }
    struct where_question *q = xcalloc(1, sizeof *q);
    *q = (struct where_question){.done = done, .ctx = ctx};
    q->asked = dns_addresses(d, span_str(w->host), on_addresses, q);
    return q;
}

void where_drop(struct where_question *q)
{
    if (!q)
        return;
    dns_cancel(q->asked);
    free(q);
}

#include "spamc/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/xalloc.h"

enum {
    V1_0 = 1000,
    V1_5 = 1500,
    ECHO_MAX = 200,          /* bytes of a bad line that the client is told */
    REQUEST_ARENA = 1 << 20, /* far more than the limits allow */
    INFLATE_PIECE = 64 * 1024
};

static const struct {
    const char *name;
    enum spamc_method method;
} methods[] = {
    {"REPORT_IFSPAM", SPAMC_REPORT_IFSPAM},
    {"PROCESS", SPAMC_PROCESS},
    {"CHECK", SPAMC_CHECK},
    {"SYMBOLS", SPAMC_SYMBOLS},
    {"REPORT", SPAMC_REPORT},
    {"HEADERS", SPAMC_HEADERS},
    {"TELL", SPAMC_TELL},
    {"SKIP", SPAMC_SKIP},
    {"PING", SPAMC_PING},
};

const char *spamc_method_name(enum spamc_method m)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].method == m)
            return methods[i].name;
    return "";
}

struct span spamc_field(const struct spamc_request *r, struct span name)
{
    for (size_t i = 0; i < r->nfields; i++)
        if (span_ieq(r->fields[i].name, name))
            return r->fields[i].value;
    return SPAN_NONE;
}

/* ---- the end ---- */

static void finish(struct spamc_session *s, const char *why)
{
    if (s->state == SPAMC_CLOSED)
        return;
    s->state = SPAMC_CLOSED;
    s->host->close(s->ctx, why);
}

void spamc_refuse(struct spamc_session *s, enum spamc_code code, const char *text)
{
    struct buf b = {0};
    const char *kind = code == SPAMC_PROTOCOL      ? "Bad header line"
                       : code == SPAMC_UNAVAILABLE ? "Service Unavailable"
                       : code == SPAMC_TIMEOUT     ? "Timeout"
                                                   : "Try again";
    if (s->state == SPAMC_CLOSED)
        return;
    buf_printf(&b, "SPAMD/1.0 %d %s: ", code, kind);
    for (; *text; text++)
        buf_char(&b, (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
    buf_str(&b, "\r\n");
    s->host->send(s->ctx, buf_span(&b));
    buf_free(&b);
    finish(s, code == SPAMC_PROTOCOL ? "protocol" : "refused");
}

static void refuse_lengths(struct spamc_session *s)
{
    char text[120];
    snprintf(text, sizeof text, "(Content-Length mismatch: Expected %llu bytes, got %llu bytes)",
             (unsigned long long)s->request->length, (unsigned long long)s->taken);
    spamc_refuse(s, SPAMC_PROTOCOL, text);
}

/* ---- content ---- */

static void complete(struct spamc_session *s)
{
    s->state = SPAMC_ANSWERING;
    s->host->end(s->ctx, s->request);
}

static bool give(struct spamc_session *s, struct span bytes)
{
    s->produced += bytes.n;
    if (s->produced > s->message_max) {
        char text[80];
        snprintf(text, sizeof text, "(message larger than %llu bytes)",
                 (unsigned long long)s->message_max);
        spamc_refuse(s, SPAMC_UNAVAILABLE, text);
        return false;
    }
    if (bytes.n)
        s->host->content(s->ctx, bytes);
    return s->state == SPAMC_IN_CONTENT;
}

/* A few bytes may become very many: each piece is counted before the next one is made. */
static bool give_inflated(struct spamc_session *s, struct span bytes)
{
    char *out = xmalloc(INFLATE_PIECE);
    bool fine = true;
    s->inflate->next_in = (Bytef *)(uintptr_t)bytes.p;
    s->inflate->avail_in = (uInt)bytes.n;
    while (fine && !s->inflated && s->inflate->avail_in > 0) {
        s->inflate->next_out = (Bytef *)out;
        s->inflate->avail_out = INFLATE_PIECE;
        int rc = inflate(s->inflate, Z_NO_FLUSH);
        s->inflated = rc == Z_STREAM_END;
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
            spamc_refuse(s, SPAMC_UNAVAILABLE, "zlib: failed to find end of zlib stream");
            fine = false;
        } else {
            fine = give(s, span_of(out, INFLATE_PIECE - s->inflate->avail_out));
        }
    }
    free(out);
    return fine;
}

static void take_content(struct spamc_session *s, struct span bytes)
{
    const struct spamc_request *r = s->request;
    struct span excess = SPAN("");
    if (r->has_length) {
        size_t wanted = r->length - s->taken < bytes.n ? (size_t)(r->length - s->taken) : bytes.n;
        excess = span_from(bytes, wanted);
        bytes = span_sub(bytes, 0, wanted);
    }
    s->taken += bytes.n;
    if (!(r->zlib ? give_inflated(s, bytes) : give(s, bytes)))
        return;
    if (!r->has_length || s->taken < r->length)
        return;
    if (r->zlib && !s->inflated) {
        spamc_refuse(s, SPAMC_UNAVAILABLE, "zlib: failed to find end of zlib stream");
    } else if (excess.n && !r->zlib) {
        s->taken += excess.n;
        refuse_lengths(s);
    } else {
        complete(s);
    }
}

static bool start_inflate(struct spamc_session *s)
{
    s->inflate = xcalloc(1, sizeof *s->inflate);
    if (inflateInit(s->inflate) == Z_OK)
        return true;
    free(s->inflate);
    s->inflate = NULL;
    spamc_refuse(s, SPAMC_UNAVAILABLE, "zlib: inflateInit failed");
    return false;
}

/* false: refused, in spamd's words. */
static bool tell_allowed(struct spamc_session *s)
{
    const struct spamc_tell *t = &s->request->tell;
    if (!s->allow_tell)
        spamc_refuse(s, SPAMC_UNAVAILABLE,
                     "TELL commands are not enabled, set the --allow-tell switch.");
    else if (t->set_local && t->remove_local)
        spamc_refuse(s, SPAMC_PROTOCOL,
                     "Unable to set local and remove local in the same operation.");
    else if (t->set_remote && t->remove_remote)
        spamc_refuse(s, SPAMC_PROTOCOL,
                     "Unable to set remote and remove remote in the same operation.");
    else
        return true;
    return false;
}

static void after_headers(struct spamc_session *s)
{
    struct spamc_request *r = s->request;
    switch (r->method) {
    case SPAMC_PING:
        s->host->send(s->ctx, SPAN("SPAMD/1.5 0 PONG\r\n"));
        finish(s, "ping");
        return;
    case SPAMC_SKIP:
        finish(s, "skip");
        return;
    case SPAMC_TELL:
        if (!tell_allowed(s))
            return;
        break;
    default:
        break;
    }
    if (r->zlib && !r->has_length) {
        spamc_refuse(s, SPAMC_UNAVAILABLE, "Compress requires Content-length header");
        return;
    }
    if (r->has_length && !r->zlib && r->length > s->message_max) {
        s->produced = r->length - 1;
        s->state = SPAMC_IN_CONTENT;
        give(s, SPAN("x")); /* says so */
        return;
    }
    if ((r->zlib && !start_inflate(s)) || !s->host->begin(s->ctx, r))
        return;
    s->state = SPAMC_IN_CONTENT;
    if (r->has_length && r->length == 0)
        take_content(s, SPAN(""));
}

/* ---- header fields ---- */

static bool has_control(struct span v)
{
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] < ' ')
            return true;
    return false;
}

static void tell_field(struct spamc_tell *t, struct span name, struct span value)
{
    bool local = span_isearch(value, SPAN("local")) != SIZE_MAX;
    bool remote = span_isearch(value, SPAN("remote")) != SIZE_MAX;
    if (span_ieq(name, SPAN("Message-class"))) {
        t->spam = span_eq(span_trim(value), SPAN("spam"));
    } else if (span_ieq(name, SPAN("Set"))) {
        t->set_local = local;
        t->set_remote = remote;
    } else if (span_ieq(name, SPAN("Remove"))) {
        t->remove_local = local;
        t->remove_remote = remote;
    }
}

/* What is wrong with it, or NULL. */
static const char *known_field(struct spamc_request *r, struct span name, struct span value)
{
    if (span_ieq(name, SPAN("Content-length"))) {
        if (!span_u64(value, &r->length))
            return "(Content-Length contains non-numeric bytes)";
        r->has_length = true;
    } else if (span_ieq(name, SPAN("User"))) {
        if (has_control(value))
            return "(User header contains control chars)";
        r->user = value;
    } else if (span_ieq(name, SPAN("Compress"))) {
        if (span_isearch(value, SPAN("zlib")) == SIZE_MAX)
            return "(compression type not supported)";
        r->zlib = true;
    } else {
        tell_field(&r->tell, name, value);
    }
    return NULL;
}

static void take_header(struct spamc_session *s, struct span line)
{
    struct spamc_request *r = s->request;
    if (line.n == 0) {
        after_headers(s);
        return;
    }
    s->header_bytes += line.n;
    if (r->nfields == SPAMC_FIELDS_MAX - 1 || s->header_bytes > SPAMC_HEADER_BYTES) {
        spamc_refuse(s, SPAMC_PROTOCOL, "(too many headers)");
        return;
    }
    size_t colon = span_find(line, ':');
    if (colon == SIZE_MAX) {
        spamc_refuse(s, SPAMC_PROTOCOL, "(header not in 'Name: value' format)");
        return;
    }
    line = arena_dup(s->arena, line);
    struct span value = span_from(line, colon + 1);
    while (value.n && ascii_isspace(value.p[0]))
        value = span_from(value, 1);
    struct spamc_field *f = &r->fields[r->nfields++];
    *f = (struct spamc_field){span_sub(line, 0, colon), value};
    const char *wrong = known_field(r, f->name, f->value);
    if (wrong)
        spamc_refuse(s, SPAMC_PROTOCOL, wrong);
}

/* ---- the first line ---- */

/* As Perl reads a number: what follows the digits does not matter. */
static unsigned version_of(struct span text)
{
    unsigned v = 0, scale = 1000;
    size_t i = 0;
    for (; i < text.n && ascii_isdigit(text.p[i]) && v < 1000; i++)
        v = v * 10 + (unsigned)(text.p[i] - '0');
    v *= 1000;
    if (i < text.n && text.p[i] == '.')
        for (i++; i < text.n && ascii_isdigit(text.p[i]) && scale > 1; i++)
            v += (unsigned)(text.p[i] - '0') * (scale /= 10);
    return v;
}

/* "METHOD SPAMC/VERSION" anywhere in the line. */
static bool find_method(struct span line, struct spamc_request *r)
{
    for (size_t at = 0; at < line.n; at++) {
        struct span rest = span_from(line, at);
        for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
            struct span name = span_str(methods[i].name);
            if (!span_starts(rest, name))
                continue;
            struct span after = span_from(rest, name.n);
            r->rspamc = span_starts(after, SPAN(" RSPAMC/"));
            if (!r->rspamc && !span_starts(after, SPAN(" SPAMC/")))
                continue;
            r->method = methods[i].method;
            r->version = version_of(span_from(after, r->rspamc ? 8 : 7));
            return true;
        }
    }
    return false;
}

static void take_first_line(struct spamc_session *s, struct span line)
{
    s->arena = arena_new(REQUEST_ARENA);
    s->request = ARENA_NEW(s->arena, struct spamc_request);
    struct spamc_request *r = s->request;
    if (!find_method(line, r)) {
        spamc_refuse(s, SPAMC_PROTOCOL, arena_cstr(s->arena, span_sub(line, 0, ECHO_MAX)));
        return;
    }
    bool short_one = r->method == SPAMC_PING || r->method == SPAMC_SKIP;
    if (r->version > V1_0 && (!short_one || r->version >= V1_5))
        s->state = SPAMC_IN_HEADERS;
    else
        after_headers(s);
}

/* ---- input ---- */

void spamc_begin(struct spamc_session *s, uint64_t message_max, const struct spamc_host *host,
                 void *ctx)
{
    *s = (struct spamc_session){.host = host, .ctx = ctx, .message_max = message_max};
}

static bool in_lines(const struct spamc_session *s)
{
    return s->state == SPAMC_IN_LINE || s->state == SPAMC_IN_HEADERS;
}

static void take_line(struct spamc_session *s)
{
    struct buf held = s->line;
    s->line = (struct buf){0};
    struct span line = buf_span(&held);
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (s->state == SPAMC_IN_LINE)
        take_first_line(s, line);
    else
        take_header(s, line);
    buf_free(&held);
}

void spamc_input(struct spamc_session *s, struct span bytes)
{
    while (bytes.n && in_lines(s)) {
        size_t lf = span_find(bytes, '\n');
        struct span piece = span_sub(bytes, 0, lf == SIZE_MAX ? bytes.n : lf);
        if (s->line.n + piece.n > SPAMC_LINE_MAX) {
            spamc_refuse(s, SPAMC_PROTOCOL, "(line too long)");
            return;
        }
        buf_add(&s->line, piece);
        if (lf == SIZE_MAX)
            return;
        bytes = span_from(bytes, lf + 1);
        take_line(s);
    }
    if (bytes.n && s->state == SPAMC_IN_CONTENT)
        take_content(s, bytes);
}

void spamc_eof(struct spamc_session *s)
{
    if (s->state == SPAMC_IN_LINE && s->line.n == 0)
        spamc_refuse(s, SPAMC_PROTOCOL, "(closed before headers)");
    else if (s->state == SPAMC_IN_LINE)
        take_line(s);
    if (s->state == SPAMC_IN_HEADERS)
        spamc_refuse(s, SPAMC_PROTOCOL, "(EOF during headers)");
    else if (s->state == SPAMC_IN_CONTENT && s->request->has_length)
        refuse_lengths(s);
    else if (s->state == SPAMC_IN_CONTENT)
        complete(s);
}

void spamc_end(struct spamc_session *s)
{
    if (s->inflate) {
        inflateEnd(s->inflate);
        free(s->inflate);
    }
    buf_free(&s->line);
    if (s->arena)
        arena_free(s->arena);
    *s = (struct spamc_session){.state = SPAMC_CLOSED, .host = s->host, .ctx = s->ctx};
}

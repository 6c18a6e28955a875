/* Razor's dialogue. A line is NAME=VALUE&NAME=VALUE with %XX; several lines together begin with '-'
 * and end with a line of one '.'; in the first of them '?' stands for values that the lines behind
 * it give, with commas. */
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "digests/razor.h"

/* --- lines --- */

static struct span unescaped(struct arena *a, struct span s)
{
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        bool code = s.p[i] == '%' && i + 2 < s.n && ascii_hex(s.p[i + 1]) >= 0 &&
                    ascii_hex(s.p[i + 2]) >= 0;
        out[n++] = s.p[i];
        if (code)
            out[n - 1] = (char)(ascii_hex(s.p[i + 1]) << 4 | ascii_hex(s.p[i + 2]));
        i += code ? 2 : 0;
    }
    return span_of(out, n);
}

void razor_escape(struct buf *out, struct span value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (ascii_isalnum(value.p[i]) || strchr("-_.!~*'()", c ? c : '%'))
            buf_char(out, value.p[i]);
        else
            buf_printf(out, "%%%02X", c);
    }
}

struct span razor_value(struct arena *a, struct span line, const char *name)
{
    struct span want = span_str(name);
    while (line.n) {
        size_t end = span_find(line, '&');
        struct span pair = span_sub(line, 0, end);
        size_t equals = span_find(pair, '=');
        if (span_eq(span_sub(pair, 0, equals), want))
            return unescaped(a, equals == SIZE_MAX ? SPAN("") : span_from(pair, equals + 1));
        line = span_from(line, end == SIZE_MAX ? line.n : end + 1);
    }
    return SPAN_NONE;
}

static bool number_of(struct arena *a, struct span line, const char *name, uint64_t *out)
{
    struct span v = razor_value(a, line, name);
    return v.p && span_u64(v, out);
}

bool razor_complete(struct span in, size_t *n)
{
    struct span rest = in, line;
    bool batch = in.n && in.p[0] == '-';
    for (;;) {
        size_t end = span_find(rest, '\n');
        if (end == SIZE_MAX)
            return false;
        line = span_trim(span_sub(rest, 0, end));
        rest = span_from(rest, end + 1);
        *n = in.n - rest.n;
        if (!batch || span_eq(line, SPAN(".")))
            return true;
    }
}

/* The lines of an answer one after the other, with templates filled in. */
struct lines {
    struct arena *a;
    struct span rest, template;
};

static struct lines lines_of(struct arena *a, struct span answer)
{
    if (answer.n && answer.p[0] == '-')
        answer = span_from(answer, 1);
    struct span rest = answer, line = SPAN("");
    span_line(&rest, &line);
    if (span_find(line, '?') != SIZE_MAX)
        return (struct lines){a, rest, line};
    return (struct lines){a, answer, SPAN_NONE};
}

/* The template with its '?' taken from a list. */
static struct span filled(struct arena *a, struct span template, struct span values)
{
    struct buf b = {0};
    for (size_t i = 0; i < template.n; i++) {
        if (template.p[i] != '?') {
            buf_char(&b, template.p[i]);
            continue;
        }
        size_t comma = span_find(values, ',');
        buf_add(&b, span_sub(values, 0, comma));
        values = span_from(values, comma == SIZE_MAX ? values.n : comma + 1);
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

static bool next_line(struct lines *l, struct span *line)
{
    if (!span_line(&l->rest, line) || span_eq(*line, SPAN(".")))
        return false;
    if (l->template.p)
        *line = filled(l->a, l->template, *line);
    return true;
}

/* --- servers --- */

/* "7542-10": seed and the code of the separator. */
static void take_ep4(struct razor_server *s, struct span v)
{
    size_t dash = span_find(v, '-');
    uint64_t seed, separator;
    if (v.n >= sizeof s->ep4 || !span_u64(span_sub(v, 0, dash), &seed) || dash == SIZE_MAX ||
        !span_u64(span_from(v, dash + 1), &separator) || separator > 255)
        return;
    s->seed = seed;
    s->separator = (char)separator;
    snprintf(s->ep4, sizeof s->ep4, "%.*s", SPAN_ARG(v));
}

bool razor_greeting(struct span line, struct razor_server *s)
{
    struct arena *a = arena_new(0);
    uint64_t serial = 0;
    line = span_trim(line);
    bool ok = razor_value(a, line, "sn").n > 0;
    if (ok && number_of(a, line, "srl", &serial) && serial != s->serial) {
        s->known = false;
        s->serial = serial;
    }
    struct span ep4 = razor_value(a, line, "ep4");
    if (ok && ep4.n)
        take_ep4(s, ep4);
    s->wants_greeting = ok && span_eq(razor_value(a, line, "a"), SPAN("cg"));
    arena_free(a);
    return ok;
}

static unsigned engines_of(struct span hex)
{
    unsigned bits = 0;
    for (size_t i = 0; i < hex.n && ascii_hex(hex.p[i]) >= 0; i++)
        bits = bits << 4 | (unsigned)ascii_hex(hex.p[i]);
    return bits;
}

bool razor_state(struct arena *a, struct span answer, struct razor_server *s)
{
    struct lines l = lines_of(a, answer);
    struct span line, v;
    uint64_t n;
    bool any = false;
    while (next_line(&l, &line)) {
        if (number_of(a, line, "ac", &n)) {
            s->average = n < 100 ? n : 100;
            any = true;
        }
        if ((v = razor_value(a, line, "se")).n) {
            s->engines = engines_of(v);
            any = true;
        }
        if (number_of(a, line, "bql", &n) && n > 0)
            s->batch = n < RAZOR_SIGNATURES ? (unsigned)n : RAZOR_SIGNATURES;
        if ((v = razor_value(a, line, "ep4")).n)
            take_ep4(s, v);
    }
    s->known = any;
    return any;
}

struct span *razor_list(struct arena *a, struct span answer, size_t *n)
{
    enum { MOST = 32 };
    struct lines l = lines_of(a, answer);
    struct span line, *v = arena_array(a, MOST, sizeof *v);
    *n = 0;
    while (*n < MOST && next_line(&l, &line)) {
        struct span server = razor_value(a, line, "csl");
        if (server.n)
            v[(*n)++] = server;
    }
    return v;
}

/* --- questions and answers --- */

void razor_question(struct buf *out, const struct razor_signatures *v, size_t from, size_t to,
                    const struct razor_server *s)
{
    bool batch = to - from > 1;
    if (batch)
        buf_char(out, '-');
    for (size_t i = from; i < to; i++) {
        buf_printf(out, "a=c&e=%u", v->v[i].engine);
        if (v->v[i].engine == 4)
            buf_printf(out, "&ep4=%s", s->ep4);
        buf_printf(out, "&s=%.*s\r\n", SPAN_ARG(v->v[i].text));
    }
    if (batch)
        buf_str(out, ".\r\n");
}

bool razor_answers(struct arena *a, struct span answer, const struct razor_signatures *v,
                   size_t from, size_t to, unsigned least, struct razor_verdict *verdicts,
                   struct razor_fact *f)
{
    struct lines l = lines_of(a, answer);
    for (size_t i = from; i < to; i++) {
        struct span line;
        uint64_t contested = 0, confidence = 0;
        if (!next_line(&l, &line))
            return false;
        bool error = razor_value(a, line, "err").p != NULL;
        bool found = span_eq(razor_value(a, line, "p"), SPAN("1"));
        if (!error && !found && !span_eq(razor_value(a, line, "p"), SPAN("0")))
            return false;
        bool rated = number_of(a, line, "cf", &confidence);
        number_of(a, line, "ct", &contested);
        struct razor_verdict *part = &verdicts[v->v[i].part];
        unsigned engine = v->v[i].engine;
        part->contested = contested != 0;
        part->spam |= !error && found && (!rated || confidence >= least);
        int percent = confidence < 100 ? (int)confidence : 100;
        if (!contested && engine <= RAZOR_ENGINE_MAX && percent > f->confidence[engine])
            f->confidence[engine] = percent;
    }
    return true;
}

unsigned razor_least(const char *min_cf, uint64_t average)
{
    bool relative = strncmp(min_cf, "ac", 2) == 0;
    long n = strtol(relative ? min_cf + 2 : min_cf, NULL, 10) + (relative ? (long)average : 0);
    return (unsigned)(n < 0 ? 0 : n > 100 ? 100 : n);
}

/* --- who reports --- */

/* H(key ^ 0x36.. . hex(H(key ^ 0x5c.. . challenge))), H: SHA-1 in hexadecimal. The key is 64 bytes
 * long, filled up with zeros. */
void razor_response(struct span password, struct span challenge, char out[32])
{
    enum { BLOCK = 64 };
    char pad[BLOCK], hex[2 * SHA_DIGEST_LENGTH + 1];
    unsigned char sum[SHA_DIGEST_LENGTH];
    struct buf b = {0};
    struct span text = challenge;
    static const unsigned char masks[] = {0x5c, 0x36};
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < BLOCK; i++)
            pad[i] = (char)((i < password.n ? (unsigned char)password.p[i] : 0) ^ masks[round]);
        buf_clear(&b);
        buf_add(&b, span_of(pad, sizeof pad));
        buf_add(&b, text);
        SHA1((const unsigned char *)buf_span(&b).p, b.n, sum);
        for (size_t i = 0; i < sizeof sum; i++)
            snprintf(hex + 2 * i, 3, "%02x", sum[i]);
        text = span_str(hex);
    }
    buf_free(&b);
    razor_base64(hex, out, 32);
}

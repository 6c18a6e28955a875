/* Requests and answers of Pyzor, and who asks. */
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>

#include "digests/pyzor.h"

static void hex_of(const unsigned char sum[SHA_DIGEST_LENGTH], char out[2 * SHA_DIGEST_LENGTH + 1])
{
    for (size_t i = 0; i < SHA_DIGEST_LENGTH; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

static void sha1(struct span s, unsigned char out[SHA_DIGEST_LENGTH])
{
    SHA1((const unsigned char *)s.p, s.n, out);
}

/* lower(H(H(M) + ':' T + ':' + K)) where K is lower(H(U + ':' + lower(key))), H is SHA-1. */
static void signature(struct span m, const struct pyzor_account *who, int64_t now,
                      char out[2 * SHA_DIGEST_LENGTH + 1])
{
    unsigned char sum[SHA_DIGEST_LENGTH];
    char key[2 * SHA_DIGEST_LENGTH + 1];
    struct buf b = {0};
    buf_printf(&b, "%s:", who->user);
    for (const char *p = who->key; *p; p++)
        buf_char(&b, ascii_lower(*p));
    sha1(buf_span(&b), sum);
    hex_of(sum, key);
    sha1(m, sum);
    buf_clear(&b);
    buf_add(&b, span_of((const char *)sum, sizeof sum));
    buf_printf(&b, ":%" PRId64 ":%s", now, key);
    sha1(buf_span(&b), sum);
    hex_of(sum, out);
    buf_free(&b);
}

void pyzor_request(struct buf *out, enum pyzor_op op, const char *digest, uint16_t thread,
                   const struct pyzor_account *who, int64_t now)
{
    static const char *const names[] = {"check", "report", "whitelist", "ping"};
    static const struct pyzor_account anonymous = {.user = "anonymous"};
    char sig[2 * SHA_DIGEST_LENGTH + 1];
    size_t from = out->n;
    if (!who->user[0])
        who = &anonymous;
    buf_printf(out, "Op: %s\n", names[op]);
    if (op != PYZOR_PING)
        buf_printf(out, "Op-Digest: %s\n", digest);
    if (op == PYZOR_REPORT || op == PYZOR_WHITELIST)
        buf_str(out, "Op-Spec: 20,3,60,3\n"); /* which lines: pyzor_digest.c */
    buf_printf(out, "Thread: %u\nPV: 2.1\nUser: %s\nTime: %" PRId64, thread, who->user, now);
    signature(span_from(buf_span(out), from), who, now, sig);
    buf_printf(out, "\nSig: %s\n\n", sig);
}

/* --- answers --- */

bool pyzor_reply_read(struct span datagram, enum pyzor_op op, struct pyzor_reply *out)
{
    struct span rest = datagram, line;
    bool code = false, thread = false, count = false, welcome = false;
    *out = (struct pyzor_reply){.why = SPAN("")};
    while (span_line(&rest, &line) && line.n) {
        size_t colon = span_find(line, ':');
        struct span name = span_sub(line, 0, colon);
        struct span value = colon == SIZE_MAX ? SPAN("") : span_trim(span_from(line, colon + 1));
        if (span_ieq(name, SPAN("Code")))
            code = span_u64(value, &out->code);
        else if (span_ieq(name, SPAN("Thread")))
            thread = span_u64(value, &out->thread);
        else if (span_ieq(name, SPAN("Count")))
            count = span_u64(value, &out->count);
        else if (span_ieq(name, SPAN("WL-Count")))
            welcome = span_u64(value, &out->welcome);
        else if (span_ieq(name, SPAN("Diag")))
            out->why = value;
    }
    bool counted = count && welcome;
    return code && thread && (op != PYZOR_CHECK || out->code != 200 || counted);
}

/* --- accounts --- */

static bool copy(char *out, size_t size, struct span s)
{
    if (s.n == 0 || s.n >= size)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] == 127)
            return false;
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}

/* HOST : PORT : USER : SALT,KEY */
static bool read_account(struct span line, struct span *host, uint64_t *port,
                         struct pyzor_account *out)
{
    struct span field[4];
    for (size_t i = 0; i < 4; i++) {
        size_t colon = i < 3 ? span_find(line, ':') : line.n;
        if (colon == SIZE_MAX)
            return false;
        field[i] = span_trim(span_sub(line, 0, colon));
        line = span_from(line, colon + 1);
    }
    size_t comma = span_find(field[3], ',');
    *host = field[0];
    return comma != SIZE_MAX && span_u64(field[1], port) && *port > 0 && *port < 65536 &&
           copy(out->user, sizeof out->user, field[2]) &&
           copy(out->key, sizeof out->key, span_from(field[3], comma + 1));
}

static bool next_line(struct span *file, struct span *line)
{
    while (span_line(file, line)) {
        *line = span_trim(*line);
        if (line->n && line->p[0] != '#')
            return true;
    }
    return false;
}

bool pyzor_account_find(struct span file, struct span host, uint16_t port,
                        struct pyzor_account *out)
{
    struct span line, of;
    uint64_t at;
    while (next_line(&file, &line)) {
        struct pyzor_account a = {.user = ""};
        if (read_account(line, &of, &at, &a) && at == port && span_ieq(of, host)) {
            *out = a;
            return true;
        }
    }
    *out = (struct pyzor_account){.user = ""};
    return false;
}

int pyzor_accounts_check(struct span file, struct err *e)
{
    struct span rest = file, line, host;
    uint64_t port;
    while (next_line(&rest, &line)) {
        struct pyzor_account a;
        if (!read_account(line, &host, &port, &a))
            return err_set(e, "'%.*s': expected HOST : PORT : USER : SALT,KEY",
                           (int)(line.n < 40 ? line.n : 40), line.p);
    }
    return 0;
}

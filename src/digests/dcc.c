#include "digests/dcc.h"

#include <ctype.h>
#include <stdio.h>

/* A line of its own from a stranger's words: nothing that could end it. */
static void add_word(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n && i < 255; i++)
        if ((unsigned char)s.p[i] > ' ' && s.p[i] != 127)
            buf_char(out, s.p[i]);
}

void dcc_head(struct buf *out, enum dcc_op op, const struct peer *peer)
{
    static const char *const options[] = {"cksums grey-off", "cksums grey-off query",
                                          "header spam grey-off"};
    char ip[IP_TEXT_SIZE];
    buf_printf(out, "%s\n", options[op]);
    if (peer->has_ip) {
        buf_str(out, ip_text(&peer->ip, ip));
        if (peer->name.n) {
            buf_char(out, '\r');
            add_word(out, peer->name);
        }
    }
    buf_char(out, '\n');
    add_word(out, peer->helo);
    buf_str(out, "\n\nunknown\n\n");
}

/* The number behind NAME=: many is 999999, ok is 0. -1: it is not there. */
static int64_t count_of(struct span s, const char *name)
{
    struct span want = span_str(name);
    for (size_t i = 0; i + want.n < s.n; i++) {
        bool begins = i == 0 || (!ascii_isalnum(s.p[i - 1]) && s.p[i - 1] != '_');
        if (!begins || !span_starts(span_from(s, i), want) || s.p[i + want.n] != '=')
            continue;
        struct span value = span_from(s, i + want.n + 1);
        size_t n = 0;
        uint64_t number;
        if (span_istarts(value, SPAN("many")))
            return DCC_MANY;
        if (span_istarts(value, SPAN("ok")))
            return 0;
        while (n < value.n && ascii_isdigit(value.p[n]))
            n++;
        if (span_u64(span_sub(value, 0, n), &number))
            return number < DCC_MANY ? (int64_t)number : DCC_MANY;
    }
    return -1;
}

bool dcc_counts(struct span field, struct dcc_fact *f)
{
    size_t colon = span_find(field, ':');
    struct span name = span_sub(field, 0, colon);
    if (colon == SIZE_MAX || !span_istarts(name, SPAN("X-DCC-")))
        return false;
    struct span brand = span_from(name, 6);
    if (span_iends(brand, SPAN("-Metrics")))
        brand.n -= 8;
    struct span body = span_trim(span_from(field, colon + 1));
    snprintf(f->brand, sizeof f->brand, "%.*s", SPAN_ARG(brand));
    snprintf(f->metrics, sizeof f->metrics, "%.*s", SPAN_ARG(body));
    for (char *p = f->metrics; *p; p++)
        if (!isprint((unsigned char)*p))
            *p = ' ';
    f->body = count_of(body, "Body");
    f->fuz1 = count_of(body, "Fuz1");
    f->fuz2 = count_of(body, "Fuz2");
    f->reputation = count_of(body, "rep");
    return true;
}

bool dcc_answer(struct span answer, struct dcc_fact *f)
{
    struct span line;
    struct buf field = {0};
    for (int i = 0; i < 2; i++)
        if (!span_line(&answer, &line))
            break;
    while (span_line(&answer, &line)) {
        bool folded = line.n && (line.p[0] == '\t' || line.p[0] == ' ');
        if (field.n && !folded)
            break;
        buf_add(&field, folded ? span_trim(line) : line);
        buf_char(&field, ' ');
    }
    bool ok = dcc_counts(buf_span(&field), f);
    if (!ok)
        snprintf(f->why, sizeof f->why, "it answered something else than an X-DCC field");
    buf_free(&field);
    return ok;
}

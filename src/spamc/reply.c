#include "spamc/reply.h"

enum { V1_2 = 1200, V1_3 = 1300 };

static void add_spam_line(struct buf *b, const struct spamc_request *r,
                          const struct spamc_verdict *v)
{
    const char *word = v->spam ? "True" : "False";
    if (r->method == SPAMC_REPORT_IFSPAM)
        word = v->spam ? "Yes" : "No";
    buf_printf(b, "Spam: %s ; %.*s / %2.1f", word, SPAN_ARG(v->shown), v->required);
}

/* PROCESS and HEADERS: clients before 1.3 know no header fields but the length, and those before
 * 1.2 none at all. */
static void message_head(struct buf *b, const struct spamc_request *r,
                         const struct spamc_verdict *v, uint64_t length)
{
    if (r->version < V1_2) {
        buf_str(b, "SPAMD/1.0 0 EX_OK\r\n");
        return;
    }
    buf_printf(b, "SPAMD/1.1 0 EX_OK\r\nContent-length: %llu\r\n", (unsigned long long)length);
    if (r->version >= V1_3) {
        add_spam_line(b, r, v);
        buf_str(b, "\r\n");
    }
    buf_str(b, "\r\n");
}

void spamc_reply_head(struct buf *b, const struct spamc_request *r, const struct spamc_verdict *v,
                      uint64_t length)
{
    if (r->method == SPAMC_PROCESS || r->method == SPAMC_HEADERS) {
        message_head(b, r, v, length);
        return;
    }
    buf_str(b, "SPAMD/1.1 0 EX_OK\r\n");
    if (r->method != SPAMC_CHECK && r->version >= V1_3)
        buf_printf(b, "Content-length: %llu\r\n", (unsigned long long)length);
    add_spam_line(b, r, v);
    buf_str(b, "\r\n\r\n");
}

void spamc_reply(struct buf *b, const struct spamc_request *r, const struct spamc_verdict *v)
{
    struct buf body = {0};
    if (r->method == SPAMC_SYMBOLS) {
        buf_add(&body, v->names);
        if (r->version < V1_3)
            buf_str(&body, "\r\n");
    } else if (r->method == SPAMC_REPORT || (r->method == SPAMC_REPORT_IFSPAM && v->spam)) {
        buf_add(&body, v->report);
    }
    spamc_reply_head(b, r, v, body.n);
    buf_add(b, buf_span(&body));
    buf_free(&body);
}

static void add_did(struct buf *b, const char *name, bool local, bool remote)
{
    if (local || remote)
        buf_printf(b, "%s: %s%s%s\r\n", name, local ? "local" : "", local && remote ? "," : "",
                   remote ? "remote" : "");
}

void spamc_reply_tell(struct buf *b, const struct spamc_tell *did)
{
    buf_str(b, "SPAMD/1.1 0 EX_OK\r\n");
    add_did(b, "DidSet", did->set_local, did->set_remote);
    add_did(b, "DidRemove", did->remove_local, did->remove_remote);
    buf_str(b, "\r\n\r\n"); /* two empty lines, as spamd's */
}

/* ---- rspamd's ---- */

static void add_printable(struct buf *b, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_char(b, (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ? ' ' : s.p[i]);
}

void spamc_reply_rspamc(struct buf *b, const struct spamc_verdict *v)
{
    buf_printf(b, "RSPAMD/1.3 0 EX_OK\r\nMetric: default; %s; %.2f / %.2f / 0.0\r\nAction: %s\r\n",
               v->spam ? "True" : "False", v->score, v->required, v->action);
    if (v->subject.p) {
        buf_str(b, "Subject: ");
        add_printable(b, v->subject);
        buf_str(b, "\r\n");
    }
}

void spamc_reply_symbol(struct buf *b, struct span name, double score)
{
    buf_str(b, "Symbol: ");
    add_printable(b, name);
    buf_printf(b, "(%.2f)\r\n", score);
}

size_t spamc_header_size(struct span message)
{
    for (size_t i = 0; i < message.n; i++) {
        if (message.p[i] != '\n')
            continue;
        size_t next = i + 1 < message.n && message.p[i + 1] == '\r' ? i + 2 : i + 1;
        if (next < message.n && message.p[next] == '\n')
            return next + 1;
    }
    return message.n;
}

#include "rspamd/reply.h"

#include <stdio.h>

#include "base/json.h"

static void symbols(struct buf *b, const struct rspamd_reply *r)
{
    json_open(b, "symbols", '{');
    for (size_t i = 0; i < r->nsymbols; i++) {
        const struct rspamd_symbol *s = &r->symbols[i];
        char name[256]; /* names of rules are words */
        snprintf(name, sizeof name, "%.*s", SPAN_ARG(s->name));
        json_open(b, name, '{');
        json_text(b, "name", s->name);
        json_number(b, "score", s->score);
        json_number(b, "metric_score", s->score);
        json_text(b, "description", s->description);
        if (s->option.n) {
            json_open(b, "options", '[');
            json_text(b, NULL, s->option);
            json_close(b, '[');
        }
        json_close(b, '{');
    }
    json_close(b, '{');
}

static bool named_before(const struct rspamd_reply *r, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (!r->headers[k].value.p == !r->headers[i].value.p &&
            span_ieq(r->headers[k].name, r->headers[i].name))
            return true;
    return false;
}

/* Fields of one name are one key with a list. */
static void add_headers(struct buf *b, const struct rspamd_reply *r)
{
    char key[256];
    json_open(b, "add_headers", '{');
    for (size_t i = 0; i < r->nheaders; i++) {
        if (!r->headers[i].value.p || named_before(r, i))
            continue;
        snprintf(key, sizeof key, "%.*s", SPAN_ARG(r->headers[i].name));
        json_open(b, key, '[');
        for (size_t k = i; k < r->nheaders; k++) {
            if (!r->headers[k].value.p || !span_ieq(r->headers[k].name, r->headers[i].name))
                continue;
            json_open(b, NULL, '{');
            json_text(b, "value", r->headers[k].value);
            json_count(b, "order", 0);
            json_close(b, '{');
        }
        json_close(b, '[');
    }
    json_close(b, '{');
}

static void milter(struct buf *b, const struct rspamd_reply *r)
{
    char key[256];
    json_open(b, "milter", '{');
    add_headers(b, r);
    json_open(b, "remove_headers", '{');
    for (size_t i = 0; i < r->nheaders; i++) {
        if (r->headers[i].value.p || named_before(r, i))
            continue;
        snprintf(key, sizeof key, "%.*s", SPAN_ARG(r->headers[i].name));
        json_count(b, key, r->headers[i].nth);
    }
    json_close(b, '{');
    json_close(b, '{');
}

void rspamd_reply(struct buf *b, const struct rspamd_reply *r)
{
    json_open(b, NULL, '{');
    json_flag(b, "is_skipped", false);
    json_number(b, "score", r->score);
    json_number(b, "required_score", r->required);
    json_text(b, "action", span_str(r->action));
    json_open(b, "thresholds", '{');
    json_number(b, "reject", r->reject);
    json_number(b, "add header", r->required);
    json_close(b, '{');
    symbols(b, r);
    json_open(b, "messages", '{');
    json_close(b, '{');
    if (r->subject.p)
        json_text(b, "subject", r->subject);
    json_text(b, "message-id", r->message_id.p ? r->message_id : SPAN("undef"));
    json_number(b, "time_real", r->seconds);
    json_text(b, "gatehouse_id", r->id);
    milter(b, r);
    json_close(b, '{');
}

void rspamd_error(struct buf *b, struct span why)
{
    json_open(b, NULL, '{');
    json_text(b, "error", why);
    json_close(b, '{');
}

static void statfile(struct buf *b, const char *symbol, uint64_t messages, uint64_t tokens)
{
    json_open(b, NULL, '{');
    json_text(b, "symbol", span_str(symbol));
    json_text(b, "type", SPAN("lmdb"));
    json_count(b, "revision", messages);
    json_count(b, "used", tokens);
    json_count(b, "total", tokens);
    json_count(b, "size", 0);
    json_count(b, "languages", 0);
    json_count(b, "users", 1);
    json_close(b, '{');
}

void rspamd_stat(struct buf *b, const struct rspamd_stat *s)
{
    json_open(b, NULL, '{');
    json_text(b, "version", SPAN("gatehouse " GATEHOUSE_VERSION));
    json_flag(b, "read_only", !s->learns);
    json_count(b, "scanned", s->scanned);
    json_count(b, "learned", s->spam_learned + s->ham_learned);
    json_open(b, "actions", '{');
    json_count(b, "reject", s->reject);
    json_count(b, "soft reject", s->soft_reject);
    json_count(b, "add header", s->add_header);
    json_count(b, "no action", s->no_action);
    json_count(b, "quarantine", s->quarantine);
    json_count(b, "discard", s->discard);
    json_close(b, '{');
    json_count(b, "spam_count", s->spam);
    json_count(b, "ham_count", s->scanned - s->spam);
    json_count(b, "connections", s->connections);
    json_count(b, "control_connections", 0);
    json_count(b, "uptime", s->uptime);
    json_open(b, "statfiles", '[');
    statfile(b, "BAYES_SPAM", s->spam_learned, s->tokens);
    statfile(b, "BAYES_HAM", s->ham_learned, s->tokens);
    json_close(b, '[');
    json_count(b, "total_learns", s->spam_learned + s->ham_learned);
    json_open(b, "fuzzy_hashes", '{');
    json_close(b, '{');
    json_close(b, '{');
}

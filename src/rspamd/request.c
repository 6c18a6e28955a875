#include "rspamd/request.h"

static struct span kept(struct arena *a, struct span value)
{
    struct span s = span_sub(span_trim(value), 0, RSPAMD_VALUE_MAX);
    char *p = arena_raw(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        p[i] = (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ? '?' : s.p[i];
    p[s.n] = '\0';
    return span_of(p, s.n);
}

/* Without blanks and one pair of brackets. */
static struct span address(struct arena *a, struct span value)
{
    value = kept(a, value);
    if (value.n && value.p[0] == '<')
        value = span_from(value, 1);
    if (value.n && value.p[value.n - 1] == '>')
        value = span_sub(value, 0, value.n - 1);
    return value;
}

/* "a@b, <c@d>": commas in quotes belong to a local part. */
static void take_rcpts(struct rspamd_request *r, struct arena *a, struct span list)
{
    bool quoted = false;
    size_t from = 0;
    for (size_t i = 0; i <= list.n && r->nrcpts < RSPAMD_RCPTS_MAX; i++) {
        if (i < list.n && list.p[i] == '"')
            quoted = !quoted;
        if (i < list.n && (quoted || list.p[i] != ','))
            continue;
        struct span addr = address(a, span_sub(list, from, i));
        from = i + 1;
        if (addr.n)
            *ARENA_PUSH(a, r->rcpts, r->nrcpts, r->rcpts_cap) = addr;
    }
}

/* The client's address may stand in brackets. */
static void take_ip(struct rspamd_request *r, struct span value)
{
    value = span_trim(value);
    if (value.n && value.p[0] == '[')
        value = span_sub(value, 1, span_find(value, ']'));
    if (span_istarts(value, SPAN("IPv6:")))
        value = span_from(value, 5);
    r->has_ip = ip_parse(value, &r->ip);
}

void rspamd_field(struct rspamd_request *r, struct arena *a, struct span name, struct span value)
{
    if (span_ieq(name, SPAN("IP"))) {
        take_ip(r, value);
    } else if (span_ieq(name, SPAN("From"))) {
        r->from = address(a, value);
        r->has_from = true;
    } else if (span_ieq(name, SPAN("Rcpt"))) {
        take_rcpts(r, a, value);
    } else if (span_ieq(name, SPAN("Deliver-To"))) {
        r->deliver_to = address(a, value);
    } else if (span_ieq(name, SPAN("Helo"))) {
        r->helo = kept(a, value);
    } else if (span_ieq(name, SPAN("Hostname"))) {
        r->hostname = kept(a, value);
    } else if (span_ieq(name, SPAN("User"))) {
        r->user = kept(a, value);
    } else if (span_ieq(name, SPAN("Queue-Id"))) {
        r->queue_id = kept(a, value);
    }
}

enum rspamd_command rspamd_command(struct span path)
{
    static const struct {
        const char *path;
        enum rspamd_command command;
    } rows[] = {
        {"/checkv2", RSPAMD_CHECK},
        {"/check", RSPAMD_CHECK},
        {"/symbols", RSPAMD_CHECK},
        {"/scan", RSPAMD_CHECK},
        {"/ping", RSPAMD_PING},
        {"/stat", RSPAMD_STAT},
        {"/learnspam", RSPAMD_LEARN_SPAM},
        {"/learnham", RSPAMD_LEARN_HAM},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (span_ieq(path, span_str(rows[i].path)))
            return rows[i].command;
    return RSPAMD_UNKNOWN;
}

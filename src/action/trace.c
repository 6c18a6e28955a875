#include "action/action_private.h"
#include "mime/header_edit.h"

enum { HELO_MAX = 255, PROTOCOL_MAX = 20, TLS_MAX = 64 };

/* Said by a stranger, and it stands where parsers of Received look for brackets and comments. */
static void add_name(struct buf *b, struct span s, size_t max)
{
    if (s.n == 0)
        buf_str(b, "unknown");
    for (size_t i = 0; i < s.n && i < max; i++) {
        char c = s.p[i];
        bool fine = ascii_isalnum(c) || (c && strchr("-._:[]", c));
        buf_char(b, fine ? c : '?');
    }
}

static void add_from(struct buf *b, const struct peer *p)
{
    buf_str(b, "from ");
    add_name(b, p->helo, HELO_MAX);
    if (!p->has_ip)
        return;
    char ip[IP_TEXT_SIZE];
    buf_str(b, " (");
    add_name(b, p->name, HELO_MAX);
    buf_printf(b, " [%s%s])", ip_is4(&p->ip) ? "" : "IPv6:", ip_text(&p->ip, ip));
}

/* RFC 5321 section 4.4, laid out as Postfix does, so that everything that reads Received headers
 * (SpamAssassin's rules above all) can read it:
 *   from HELO (NAME [IP]) CFWS (TLS) CFWS by HOST with PROTOCOL id ID; CFWS DATE */
struct span action_trace(const struct settings *set, const struct message *m, struct arena *a)
{
    if (!m->has_envelope || m->peer.stamped)
        return SPAN("");
    const struct peer *p = &m->peer;
    const char *eol = header_crlf(m->raw) ? "\r\n" : "\n";
    char date[CLOCK_RFC5322_SIZE];
    struct buf b = {0};
    buf_str(&b, "Received: ");
    add_from(&b, p);
    if (p->tls_version.n) {
        buf_printf(&b, "%s\t(using ", eol);
        add_plain(&b, p->tls_version, TLS_MAX);
        buf_str(&b, " with cipher ");
        add_plain(&b, p->tls_cipher, TLS_MAX);
        buf_char(&b, ')');
    }
    buf_printf(&b, "%s\tby %s with ", eol, set->hostname);
    add_name(&b, p->protocol.n ? p->protocol : SPAN("SMTP"), PROTOCOL_MAX);
    buf_printf(&b, " id %s;%s\t%s%s", m->id, eol, clock_rfc5322(m->received, date), eol);
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

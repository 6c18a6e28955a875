/* Signs of an authenticated sender in a Received line, by the programs that write them (semantics
 * 6.7). */
#include "relays/relays_private.h"

bool received_search(struct template_match *m, struct span line, const char *template)
{
    m->line = line;
    m->icase = false;
    return template_search(m, template, NULL, NULL);
}

bool received_isearch(struct template_match *m, struct span line, const char *template)
{
    m->line = line;
    m->icase = true;
    bool hit = template_search(m, template, NULL, NULL);
    m->icase = false;
    return hit;
}

static bool has(struct span line, const char *text)
{
    return span_search(line, span_str(text)) != SIZE_MAX;
}

/* One of the protocols that are told where somebody has authenticated. */
static bool maybe_authenticated(struct template_match *m, struct span line)
{
    return template_maybe(m, line, "MTPA") || template_maybe(m, line, "MTPSA") ||
           template_maybe(m, line, "ASMTP") || template_maybe(m, line, "HTTP");
}

struct span received_auth(struct template_match *m, struct span line)
{
    if (has(line, " by ") && maybe_authenticated(m, line) &&
        received_isearch(m, line,
                         " with $(a{{ES|L|UTF8S|UTF8L}MTP{S|}A|ASMTP|HTTP{S|U|}}$)a{ |;|$.}"))
        return template_got(m, 'a');
    if (received_search(
            m, line,
            " by mx.google.com with ESMTPS id $6sm$7$8.$9.$D$D$D$D.$G$D.$G$D.$G$D.$G$D.$G$D") &&
        received_search(m, line, "(version=$vJ cipher=$cP)"))
        return arena_printf(m->arena, "GMail - transport=%.*s cipher=%.*s",
                            SPAN_ARG(template_got(m, 'v')), SPAN_ARG(template_got(m, 'c')));
    m->line = line;
    if (template_start(
            m, "from $L{])|)]} (AUTH: $(a{LOGIN|PLAIN|DIGEST-MD5|CRAM-MD5}$)a $W{, $L|}) by "))
        return template_got(m, 'a');
    if (has(line, "authenticated") &&
        template_start(m, "from $L{]{ ($K)|})|)]} $L($Lauthenticated$L)$L by"))
        return SPAN("Sendmail");
    if (received_search(m, line,
                        "from $Q ({HELO|EHLO} $Q) [$I] by $(bmail.gmx.{net|com}$)b ($P) with "
                        "$(p{ESMTP|SMTP}$)p"))
        return arena_printf(m->arena, "GMX (%.*s / %.*s)", SPAN_ARG(template_got(m, 'p')),
                            SPAN_ARG(template_got(m, 'b')));
    if (has(line, " (authenticated as ") &&
        received_search(m, line, ") by $O ($D{$D|}.$D.$D$D$D{.$9|}) (authenticated as $O) id "))
        return SPAN("CriticalPath");
    if (received_search(m, line, ") (Authenticated sender: $W) by $W ($aP) with ")) {
        struct span name = template_got(m, 'a');
        return span_eq(name, SPAN("Postfix"))
                   ? name
                   : arena_printf(m->arena, "Postfix (%.*s)", SPAN_ARG(name));
    }
    if (received_search(m, line, "CommuniGate Pro {HTTP|SMTP|XIMSS|IMAP}") &&
        has(line, " (account "))
        return SPAN("Communigate");
    if (received_search(m, line, " with Microsoft Exchange Server HTTP-DAV$_"))
        return SPAN("HTTP-DAV");
    if (has(line, " by ") && received_isearch(m, line, " (via $(aHTTP{$X|}$)a){ |;|$.}"))
        return template_got(m, 'a');
    return SPAN_NONE;
}

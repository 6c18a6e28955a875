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

/* What programs write that tell of authentication, in the order in which it counts. */
enum sign {
    SIGN_PROTOCOL,
    SIGN_GMAIL,
    SIGN_LOGIN,
    SIGN_SENDMAIL,
    SIGN_GMX,
    SIGN_CRITICAL_PATH,
    SIGN_POSTFIX,
    SIGN_COMMUNIGATE,
    SIGN_EXCHANGE,
    SIGN_HTTP
};

static const char *const signs[] = {
    [SIGN_PROTOCOL] = " with $(a{{ES|L|UTF8S|UTF8L}MTP{S|}A|ASMTP|HTTP{S|U|}}$)a{ |;|$.}",
    [SIGN_GMAIL] = " by mx.google.com with ESMTPS id $6sm$7$8.$9.$D$D$D$D.$G$D.$G$D.$G$D.$G$D.$G$D",
    [SIGN_LOGIN] = "from $L{])|)]} (AUTH: $(a{LOGIN|PLAIN|DIGEST-MD5|CRAM-MD5}$)a $W{, $L|}) by ",
    [SIGN_SENDMAIL] = "from $L{]{ ($K)|})|)]} $L($Lauthenticated$L)$L by",
    [SIGN_GMX] = "from $Q ({HELO|EHLO} $Q) [$I] by $(bmail.gmx.{net|com}$)b ($P) with "
                 "$(p{ESMTP|SMTP}$)p",
    [SIGN_CRITICAL_PATH] = ") by $O ($D{$D|}.$D.$D$D$D{.$9|}) (authenticated as $O) id ",
    [SIGN_POSTFIX] = ") (Authenticated sender: $W) by $W ($aP) with ",
    [SIGN_COMMUNIGATE] = "CommuniGate Pro {HTTP|SMTP|XIMSS|IMAP}",
    [SIGN_EXCHANGE] = " with Microsoft Exchange Server HTTP-DAV$_",
    [SIGN_HTTP] = " (via $(aHTTP{$X|}$)a){ |;|$.}",
    NULL,
};

static struct span got(const struct template_match *m, const char *format, char x, char y)
{
    return arena_printf(m->arena, format, SPAN_ARG(template_got(m, x)),
                        SPAN_ARG(template_got(m, y)));
}

/* false: this sign is not in the line. */
static bool told_by(struct template_match *m, struct span line, enum sign sign, struct span *auth)
{
    m->line = line;
    switch (sign) {
    case SIGN_PROTOCOL:
    case SIGN_HTTP:
        if ((sign == SIGN_PROTOCOL && !maybe_authenticated(m, line)) ||
            !received_isearch(m, line, signs[sign]) || !has(line, " by "))
            return false;
        *auth = template_got(m, 'a');
        return true;
    case SIGN_GMAIL:
        if (!received_search(m, line, signs[sign]) ||
            !received_search(m, line, "(version=$vJ cipher=$cP)"))
            return false;
        *auth = got(m, "GMail - transport=%.*s cipher=%.*s", 'v', 'c');
        return true;
    case SIGN_LOGIN:
        if (!template_start(m, signs[sign]))
            return false;
        *auth = template_got(m, 'a');
        return true;
    case SIGN_SENDMAIL:
        *auth = SPAN("Sendmail");
        return has(line, "authenticated") && template_start(m, signs[sign]);
    case SIGN_GMX:
        if (!received_search(m, line, signs[sign]))
            return false;
        *auth = got(m, "GMX (%.*s / %.*s)", 'p', 'b');
        return true;
    case SIGN_CRITICAL_PATH:
        *auth = SPAN("CriticalPath");
        return has(line, " (authenticated as ") && received_search(m, line, signs[sign]);
    case SIGN_POSTFIX:
        if (!received_search(m, line, signs[sign]))
            return false;
        *auth = template_got(m, 'a');
        if (!span_eq(*auth, SPAN("Postfix")))
            *auth = arena_printf(m->arena, "Postfix (%.*s)", SPAN_ARG(*auth));
        return true;
    case SIGN_COMMUNIGATE:
        *auth = SPAN("Communigate");
        return received_search(m, line, signs[sign]) && has(line, " (account ");
    case SIGN_EXCHANGE:
        *auth = SPAN("HTTP-DAV");
        return received_search(m, line, signs[sign]);
    }
    return false;
}

struct span received_auth(struct template_match *m, struct span line)
{
    struct span auth;
    for (uint64_t may = template_which(m, line, signs, sizeof *signs); may; may &= may - 1)
        if (told_by(m, line, (enum sign)__builtin_ctzll(may), &auth))
            return auth;
    return SPAN_NONE;
}

/* Senders that claim a large provider without its Received lines (semantics 8.5). */
#include "rules/eval_state.h"

#include "relays/ip_pattern.h"
#include "relays/template.h"
#include "rules/eval.h"

struct hotmail {
    bool forged, none;
};

static bool find(struct rules_ctx *c, struct span s, const char *template)
{
    struct template_match m = {.line = s, .arena = c->a, .memory = c->templates};
    return template_search(&m, template, NULL, NULL);
}

/* At the start of one of the lines. */
static bool line_starts(struct rules_ctx *c, struct span s, const char *template)
{
    struct template_match m = {.arena = c->a, .memory = c->templates};
    while (span_line(&s, &m.line))
        if (template_start(&m, template))
            return true;
    return false;
}

/* White space squeezed to single spaces. received(c): of Received, once a message. */
static struct span squeezed(struct rules_ctx *c, const char *request)
{
    struct span s = header_scalar(c, request);
    char *p = arena_raw(c->a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char ch = ascii_isspace(s.p[i]) ? ' ' : s.p[i];
        if (ch != ' ' || n == 0 || p[n - 1] != ' ')
            p[n++] = ch;
    }
    return span_of(p, n);
}

static struct span received(struct rules_ctx *c)
{
    struct eval_state *s = eval_state(c);
    if (!s->squeezed_received.p)
        s->squeezed_received = squeezed(c, "Received");
    return s->squeezed_received;
}

static bool has_ip(struct rules_ctx *c, const char *header)
{
    struct span ip;
    return ip_pattern_find(header_scalar(c, header), 0, &ip);
}

/* The first From address ends in `domain`, which starts at a word boundary. */
static bool from_ends(struct rules_ctx *c, const char *domain)
{
    struct span from = header_scalar(c, "From:addr"), d = span_str(domain);
    return span_iends(from, d) && word_boundary(from, from.n - d.n);
}

bool received_headers_removed(struct rules_ctx *c)
{
    struct eval_state *s = eval_state(c);
    if (s->has_gated)
        return s->gated;
    s->has_gated = true;
    struct span lines = header_scalar_or_none(c, "Received");
    s->gated = (line_starts(c, header_scalar(c, "Mailing-List"), "contact $W@$W; run by ezmlm$.") &&
                line_starts(c, header_scalar(c, "Delivered-To"), "mailing list $W@$W") &&
                find(c, header_scalar(c, "Received"),
                     "qmail $N invoked {from network|by $=}); $N $X$X$X $N")) ||
               !lines.p || find(c, lines, "from groups.msn.com ($W.msn.com ");
    return s->gated;
}

static double gated_through_received_hdr_remover(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return received_headers_removed(c);
}

static double check_for_fake_aol_relay_in_rcvd(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    if (span_isearch(header_scalar(c, "Received"), SPAN("rly-")) == SIZE_MAX)
        return 0; /* without squeezing */
    struct span r = received(c);
    for (size_t i = 0, next; (next = span_isearch(span_from(r, i), SPAN(" rly-"))) != SIZE_MAX;
         i++) {
        i += next;
        if (i + 10 >= r.n)
            break;
        if (!ascii_isalpha(r.p[i + 5]) || !ascii_isalpha(r.p[i + 6]) ||
            !ascii_isdigit(r.p[i + 7]) || !ascii_isdigit(r.p[i + 8]) || r.p[i + 9] != '.')
            continue;
        return !find(c, r, "/AOL-$N.$N.$N)") && !find(c, r, "ESMTP id {RELAY|MAILRELAY|MAILIN}");
    }
    return 0;
}

/* --- Hotmail --- */

static bool msn_groups(struct rules_ctx *c)
{
    struct template_match m = {
        .line = header_scalar(c, "To"), .arena = c->a, .memory = c->templates, .icase = true};
    if (!template_search(&m, "<$nW@groups.msn.com>", NULL, NULL))
        return false;
    struct span list = template_got(&m, 'n');
    struct span id = header_scalar(c, "Message-Id");
    m.icase = false;
    m.line = header_scalar(c, "Received");
    if (!template_search(&m, "from mail pickup service by $(sp$D$D.groups.msn.com$)s$_", NULL,
                         NULL))
        return false;
    struct span server = template_got(&m, 's');
    m.line = id;
    if (span_eq(list, SPAN("notifications"))) {
        size_t at = span_search(id, arena_printf(c->a, "@%.*s>", SPAN_ARG(server)));
        return span_starts(id, SPAN("<")) && at != SIZE_MAX && at > 1;
    }
    if (!span_starts(id, arena_printf(c->a, "<%.*s-", SPAN_ARG(list))) ||
        !template_start(&m, "<$W@groups.msn.com>"))
        return false;
    struct span bounce = arena_printf(c->a, "%.*s-bounce@groups.msn.com", SPAN_ARG(list));
    return span_search(header_scalar(c, "EnvelopeFrom:addr"), bounce) != SIZE_MAX;
}

static bool from_hotmail(struct rules_ctx *c, struct span r)
{
    struct span org = header_scalar(c, "X-OriginatorOrg");
    if (has_ip(c, "X-Originating-Ip") &&
        (find(c, r, "from {$Q.|}hotmail$Xcom ($W.hotmail{.msn|}.com{ |)}") ||
         find(c, r, "from $Q.hotmail$Xcom ([$I]{ |)|:}") ||
         find(c, r, "from $W by $W.hotmail{.msn|}.com with HTTP;") ||
         find(c, r, "from [66.218$X$W] by $W.yahoo.com")))
        return true;
    return (span_search(org, SPAN("hotmail.com")) != SIZE_MAX ||
            span_search(org, SPAN("msonline-outlook")) != SIZE_MAX) &&
           (find(c, r,
                 "from $Q.outbound.protection.outlook.com "
                 "($W.outbound.protection.outlook.com{ |)}") ||
            find(c, r, "from $Q.{eur|nam}prd$N.prod.outlook.com ($I)"));
}

static const struct hotmail *hotmail(struct rules_ctx *c)
{
    struct eval_state *s = eval_state(c);
    if (s->hotmail)
        return s->hotmail;
    struct hotmail *h = s->hotmail = ARENA_NEW(c->a, struct hotmail);
    bool named = span_search(header_scalar(c, "Received"), SPAN("hotmail.com")) != SIZE_MAX;
    if (!named && !from_ends(c, "hotmail.com"))
        return h;
    struct span r = received(c);
    if (span_search(r, SPAN("from mail pickup service by hotmail.com with Microsoft SMTPSVC;")) !=
            SIZE_MAX ||
        msn_groups(c) || received_headers_removed(c) || from_hotmail(c, r))
        return h;
    h->forged = find(c, r, "{from |HELO |helo=}$Qhotmail.com$_");
    h->none = !h->forged && from_ends(c, "hotmail.com");
    return h;
}

static double check_for_forged_hotmail_received_headers(struct rules_ctx *c,
                                                        const struct eval_call *call)
{
    (void)call;
    return hotmail(c)->forged;
}

static double check_for_no_hotmail_received_headers(struct rules_ctx *c,
                                                    const struct eval_call *call)
{
    (void)call;
    return hotmail(c)->none;
}

static double check_for_msn_groups_headers(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return msn_groups(c);
}

/* --- others --- */

static double check_for_forged_eudoramail_received_headers(struct rules_ctx *c,
                                                           const struct eval_call *call)
{
    (void)call;
    return from_ends(c, "eudoramail.com") && !received_headers_removed(c) &&
           !(has_ip(c, "X-Sender-Ip") && find(c, received(c), "by $Qwhowhere$Xcom;"));
}

static bool relayed_by_yahoo(struct rules_ctx *c)
{
    struct span first = c->relays->nuntrusted ? c->relays->untrusted[0]->text : SPAN("");
    return find(c, c->relays->trusted_text, " rdns=$W.yahoo.com ") ||
           find(c, first, " rdns=$W.yahoo.com ");
}

static double check_for_forged_yahoo_received_headers(struct rules_ctx *c,
                                                      const struct eval_call *call)
{
    (void)call;
    if (!from_ends(c, "yahoo.com"))
        return 0;
    bool resent = header_scalar(c, "Resent-From").n && header_scalar(c, "Resent-To").n &&
                  header_scalar(c, "X-Received").n;
    struct span r = squeezed(c, resent ? "X-Received" : "Received");
    if (received_headers_removed(c) || relayed_by_yahoo(c))
        return 0;
    static const char *const forms[] = {
        "by web$W.mail$Q.yahoo.com via HTTP",
        "by sonic$W.consmr.mail$Q.yahoo.com with HTTP",
        "by smtp$W.yahoo.com with SMTP",
        "from [$I] by $W.{groups|scd|dcn}.yahoo.com with NNFMP",
        "by $~.$~.yahoo.com ($N.$N.$N/$N.$N.$N){ with ESMTP|} id $~",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (find(c, r, forms[i]))
            return 0;
    return !(find(c, r, "$_mailer$N.bulk.scd.yahoo.com$_") &&
             span_iends(header_scalar(c, "From:addr"), SPAN("@reply.yahoo.com")));
}

static double check_for_forged_juno_received_headers(struct rules_ctx *c,
                                                     const struct eval_call *call)
{
    (void)call;
    if (!from_ends(c, "juno.com") || received_headers_removed(c))
        return 0;
    struct span mailer = header_scalar(c, "X-Mailer"), r = header_scalar(c, "Received");
    if (!header_scalar(c, "X-Originating-IP").n)
        return 1; /* whatever the lines say: the address is asked for in the end */
    if (!find(c, r, "from$A$_{juno|untd}.com$A{[|(}$I{]|)}$Aby") &&
        !find(c, r, " cookie.{juno|untd}.com "))
        return 1;
    return span_search(mailer, SPAN("Juno ")) == SIZE_MAX;
}

static double check_for_forged_gmail_received_headers(struct rules_ctx *c,
                                                      const struct eval_call *call)
{
    (void)call;
    enum { LONG_ENOUGH = 60 }; /* bytes of Google's own headers */
    if (!from_ends(c, "gmail.com"))
        return 0;
    struct span x = header_scalar(c, "X-Received");
    if (find(c, x, "by 10.$W with SMTP id $W") ||
        find(c, x, "by 2002:a$D$D:$~:$W with SMTP id $W") ||
        find(c, header_scalar(c, "Received"), "by smtp.googlemail.com with ESMTPSA id $W"))
        return 0;
    return header_scalar(c, "X-Gm-Message-State").n < LONG_ENOUGH ||
           header_scalar(c, "X-Google-Smtp-Source").n < LONG_ENOUGH;
}

/* "from A by GW with ESMTP; date" where GW has no dot, as a whole later line. */
static double check_for_forged_gw05_received_headers(struct rules_ctx *c,
                                                     const struct eval_call *call)
{
    (void)call;
    struct span r = header_scalar(c, "Received");
    size_t lf = r.n ? span_rfind(span_sub(r, 0, r.n - 1), '\n') : SIZE_MAX;
    if (lf == SIZE_MAX)
        return 0;
    struct template_match m = {
        .line = span_trim(span_from(r, lf + 1)), .arena = c->a, .memory = c->templates};
    return template_start(&m, "from $W by $gW with ESMTP; $-$-$-, $N $-$-$- $D$D$D$D "
                              "$D$D:$D$D:$D$D {-|+|}$D$D$D$D$.") &&
           span_find(template_got(&m, 'g'), '.') == SIZE_MAX;
}

#define ROW(fn)                                                                                    \
    {                                                                                              \
#fn, "HeaderEval", fn, .types = EVAL_HEAD                                                  \
    }
const struct eval_fn_def eval_forged[] = {
    ROW(gated_through_received_hdr_remover),
    ROW(check_for_fake_aol_relay_in_rcvd),
    ROW(check_for_forged_hotmail_received_headers),
    ROW(check_for_no_hotmail_received_headers),
    ROW(check_for_msn_groups_headers),
    ROW(check_for_forged_eudoramail_received_headers),
    ROW(check_for_forged_yahoo_received_headers),
    ROW(check_for_forged_juno_received_headers),
    ROW(check_for_forged_gmail_received_headers),
    ROW(check_for_forged_gw05_received_headers),
    {NULL},
};

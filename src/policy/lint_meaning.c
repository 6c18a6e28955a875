/* Within one policy: what never comes by these settings, what contradicts itself, what is without
 * effect. */
#include <strings.h>

#include "policy/lint_private.h"

bool lint_listed(const struct strings *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i], text) == 0)
            return true;
    return false;
}

/* Without those that only say what is not meant. */
static bool names_some(const struct strings *list)
{
    for (size_t k = 0; k < list->n; k++)
        if (list->v[k][0] != '!')
            return true;
    return false;
}

/* --- what the settings let come --- */

/* Bits of the protocols of the listeners that it means. */
static unsigned protocols_of(const struct settings *s, const struct policy *p)
{
    unsigned bits = 0;
    for (size_t i = 0; i < s->listeners.n; i++)
        if (p->listeners.n == 0 || lint_listed(&p->listeners, s->listeners.v[i].name))
            bits |= 1u << s->listeners.v[i].protocol;
    return bits;
}

static bool some_milter(const struct settings *s)
{
    for (size_t i = 0; i < s->listeners.n; i++)
        if (s->listeners.v[i].protocol == LISTEN_MILTER)
            return true;
    return false;
}

static void check_needs(struct lint *l, size_t i, const struct policy *p)
{
    const struct settings *s = l->set;
    bool users = s->auth.users_file || s->auth.dovecot_socket || some_milter(s);
    bool named = names_some(&p->users);
    if (!s->rules.enabled && (p->score.given || p->rules.n))
        lint_tell(l, i, p->score.given ? "score" : "rules",
                  "never matches: rules.enabled is false, so there are no scores and no hits");
    if (!s->virus.enabled && p->virus.n)
        lint_tell(l, i, "virus", "never matches: virus.enabled is false");
    if (named && !users)
        lint_tell(l, i, "users",
                  "never matches: nobody can log in (auth.users_file, auth.dovecot_socket)");
    if (p->direction.n && !lint_listed(&p->direction, "inbound") && !users &&
        s->relay.networks.n == 0)
        lint_tell(l, i, "direction",
                  "never matches: nobody is ours; set relay.networks, or let users log in");
    if (!p->scan && !p->go_on && (p->score.given || p->rules.n || p->virus.n))
        lint_tell(l, i, "scan",
                  "comes too late: what the policy asks for is known only after the scan");
}

static void check_stage(struct lint *l, size_t i, const struct policy *p)
{
    for (size_t k = 0; k < p->actions.n; k++) {
        enum action_kind kind = p->actions.v[k].kind;
        if (kind == ACTION_CLEAN && !l->set->virus.enabled && !p->parts.given)
            lint_tell(l, i, "do", "'clean' never finds a virus: virus.enabled is false");
        if (l->set->queue.after_queue && (kind == ACTION_REJECT || kind == ACTION_DEFER) &&
            policy_stage_of(p) == STAGE_END)
            lint_tell(
                l, i, "do",
                "'%s' is not possible here: with queue.after_queue the message has been taken when "
                "this is known; it will be held",
                action_name(kind));
    }
}

static bool mentions(const char *text, const char *tag)
{
    return text && strstr(text, tag);
}

/* Who reads that something was taken out has to be told where it is. */
static void check_texts(struct lint *l, size_t i, const struct policy *p)
{
    for (size_t k = 0; k < p->actions.n; k++) {
        const struct policy_action *x = &p->actions.v[k];
        bool url = mentions(x->text, "_URL_");
        if (x->kind == ACTION_LINK_PART && !url && !mentions(x->text, "_ID_"))
            lint_tell(l, i, "do",
                      "'link_part': neither _URL_ nor _ID_ is in the text, so nobody can ask "
                      "for the part");
        if (url && x->text != action_default(x->kind) && !l->set->quarantine.link_url)
            lint_tell(l, i, "do", "'%s': there is nothing for _URL_; set quarantine.link_url",
                      action_name(x->kind));
    }
}

/* The message stays with who asks. */
static void check_asked(struct lint *l, size_t i, const struct policy *p)
{
    unsigned asking = 1u << LISTEN_SPAMD | 1u << LISTEN_RSPAMD | 1u << LISTEN_SOCKETMAP;
    unsigned of = protocols_of(l->set, p);
    if (!p->listeners.n || !of || (of & ~asking))
        return;
    if (of == 1u << LISTEN_SOCKETMAP)
        lint_tell(l, i, "listeners", "never matches: no message comes to a socketmap");
    for (size_t k = 0; k < p->actions.n; k++) {
        enum action_kind kind = p->actions.v[k].kind;
        if (kind == ACTION_ADD_RECIPIENT || kind == ACTION_DELETE_RECIPIENT ||
            kind == ACTION_REDIRECT || kind == ACTION_CHANGE_SENDER)
            lint_tell(l, i, "do",
                      "'%s' does nothing here: who asks at these listeners delivers the "
                      "message himself",
                      action_name(kind));
    }
}

/* Results that authentication never gives when it is off. */
static void check_auth(struct lint *l, size_t i, const struct policy *p)
{
    const struct settings *s = l->set;
    bool on = s->authentication.enabled;
    const struct {
        const char *name;
        const struct strings *words;
        bool on;
        const char *setting;
    } rows[] = {
        {"auth.spf", &p->auth.spf, on && s->spf.enabled, on ? "spf" : "authentication"},
        {"auth.dkim", &p->auth.dkim, on, "authentication"},
        {"auth.dmarc", &p->auth.dmarc, on && s->dmarc.enabled, on ? "dmarc" : "authentication"},
        {"auth.arc", &p->auth.arc, on, "authentication"},
        {"auth.dkim_domain", &p->auth.dkim_domain, on, "authentication"},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        if (!rows[k].on && rows[k].words->n && !lint_listed(rows[k].words, "none") &&
            names_some(rows[k].words))
            lint_tell(l, i, rows[k].name, "never matches: %s.enabled is false", rows[k].setting);
    if (p->auth.dkim_domain.n && p->auth.dkim.n && !lint_listed(&p->auth.dkim, "pass") &&
        names_some(&p->auth.dkim_domain))
        lint_tell(l, i, "auth.dkim_domain",
                  "never matches: a signature of theirs that passes makes auth.dkim pass");
}

/* MTAs and those who ask for them tell names, and whoever may say XCLIENT. */
static void check_names(struct lint *l, size_t i, const struct policy *p)
{
    const struct settings *s = l->set;
    unsigned told = 1u << LISTEN_MILTER | 1u << LISTEN_RSPAMD | 1u << LISTEN_SPAMD;
    bool others = (protocols_of(s, p) & told) != 0;
    for (size_t k = 0; k < s->listeners.n; k++)
        others |= s->listeners.v[k].xclient_from.n > 0;
    if (names_some(&p->client_names) && !s->dns.client_names && !others)
        lint_tell(l, i, "client_names", "never matches: dns.client_names is false");
}

/* --- what contradicts itself --- */

static void check_header(struct lint *l, size_t i, const struct policy *p)
{
    const struct header_tests *h = &p->header;
    for (size_t k = 0; k < h->n; k++)
        for (size_t n = 0; n < h->n; n++)
            if (h->v[k].present == WHETHER_NO && h->v[n].present != WHETHER_NO &&
                strcasecmp(h->v[k].name, h->v[n].name) == 0)
                lint_tell(l, i, "header", "never matches: '%s' is to be there and not to be there",
                          h->v[k].name);
}

/* A part is never larger than the message: no encoding of mail makes it smaller. */
static void check_sizes(struct lint *l, size_t i, const struct policy *p)
{
    const struct range *whole = &p->size, *part = &p->parts.size;
    if (whole->given && part->given && part->from > whole->to)
        lint_tell(l, i, "parts.size", "never matches: no part is larger than its message");
}

static bool plain_domain(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s >= 0x80 || strncasecmp(s, "xn--", 4) == 0)
            return false;
    return true;
}

/* "@example.org", "ann@example.org": 1: ours, 0: not; -1: that can't be told here. */
static int place_of(const struct settings *s, const char *pattern)
{
    const char *at = strrchr(pattern, '@');
    bool other = false;
    if (!at || strpbrk(pattern, "*?!/") || s->relay.domains_file || !plain_domain(at))
        return -1;
    for (size_t i = 0; i < s->relay.domains.n; i++) {
        const char *d = s->relay.domains.v[i];
        if (strcasecmp(d, at + 1) == 0)
            return 1;
        other |= d[0] == '.' || !plain_domain(d);
    }
    return other ? -1 : 0;
}

/* From our clients to others, or to us: the recipients must be such. */
static void check_direction(struct lint *l, size_t i, const struct policy *p)
{
    size_t ours = 0, others = 0, n = p->recipients.n;
    for (size_t k = 0; k < n; k++) {
        int place = place_of(l->set, p->recipients.v[k]);
        ours += place == 1;
        others += place == 0;
    }
    if (n == 0 || p->direction.n != 1)
        return;
    if (strcmp(p->direction.v[0], "outbound") == 0 && ours == n)
        lint_tell(l, i, "direction", "never matches: all these recipients are in relay.domains");
    if (strcmp(p->direction.v[0], "internal") == 0 && others == n)
        lint_tell(l, i, "direction", "never matches: none of these recipients is in relay.domains");
}

/* --- what is without effect --- */

static void check_effects(struct lint *l, size_t i, const struct policy *p)
{
    bool parts = false;
    for (size_t k = 0; k < l->set->policies.n; k++)
        parts |= l->set->policies.v[k].on_virus == OUT_CLEAN;
    for (size_t k = 0; k < p->actions.n; k++) {
        enum action_kind kind = p->actions.v[k].kind;
        parts |= action_on_part(kind) || kind == ACTION_CLEAN || kind == ACTION_ADD_DISCLAIMER;
    }
    if (p->touch_signed && !parts)
        lint_tell(l, i, "touch_signed", "has no effect: the policy changes no parts");
}

void lint_meaning(struct lint *l, size_t i, const struct policy *p)
{
    check_needs(l, i, p);
    check_stage(l, i, p);
    check_texts(l, i, p);
    check_asked(l, i, p);
    check_auth(l, i, p);
    check_names(l, i, p);
    check_header(l, i, p);
    check_sizes(l, i, p);
    check_direction(l, i, p);
    check_effects(l, i, p);
}

/* EnvelopeFrom, all senders, all recipients (semantics 6.3). */
#include "rules/eval_state.h"

/* "a@b", or the empty sender. */
static bool usable(struct span s)
{
    size_t at = span_find(s, '@');
    return s.p && (s.n == 0 || (at != SIZE_MAX && at > 0));
}

static struct span first_address(struct rules_ctx *c, const char *request)
{
    size_t n;
    struct span *v = header_list(c, request, &n);
    return n > 0 ? v[0] : SPAN_NONE;
}

/* A line of ALL that starts with "Received:" stands above one that starts with `name`. */
static bool received_above(struct rules_ctx *c, struct span name)
{
    struct span rest = header_all(c), line;
    bool received = false;
    while (span_line(&rest, &line)) {
        if (received && span_istarts(line, name))
            return true;
        if (span_istarts(line, SPAN("Received:")))
            received = true;
    }
    return false;
}

static bool fetched_with_sender(struct rules_ctx *c)
{
    if (span_find(first_address(c, "X-Sender:first:addr"), '@') == SIZE_MAX)
        return false;
    size_t n;
    struct span *v = header_list(c, "Received", &n);
    for (size_t i = 0; i < n; i++)
        if (span_search(v[i], SPAN("(fetchmail")) != SIZE_MAX)
            return true;
    return false;
}

static struct span guess_sender(struct rules_ctx *c)
{
    const struct relays *r = c->relays;
    const struct relay *hop = r->nuntrusted ? r->untrusted[0]
                              : r->ntrusted ? r->trusted[r->ntrusted - 1]
                                            : NULL;
    if (hop && usable(hop->envfrom))
        return hop->envfrom;
    if (fetched_with_sender(c))
        return SPAN_NONE;
    struct span s = first_address(c, "X-Envelope-From:first:addr");
    if (s.p)
        return received_above(c, SPAN("X-Envelope-From:")) ? SPAN_NONE : s;
    s = first_address(c, "Envelope-Sender:first:addr");
    if (s.p && !received_above(c, SPAN("Envelope-Sender:")))
        return s;
    s = first_address(c, "Return-Path:first:addr");
    if (s.p && !received_above(c, SPAN("Return-Path:")))
        return s;
    return SPAN_NONE;
}

static struct span find_sender(struct rules_ctx *c)
{
    if (c->m->has_envelope) {
        struct span s = c->m->env.from.p ? c->m->env.from : SPAN("");
        return usable(s) ? s : SPAN_NONE;
    }
    struct span name = c->conf->envelope_sender_header;
    if (!name.p)
        return guess_sender(c);
    struct span s = first_address(c, arena_printf(c->a, "%.*s:first:addr", SPAN_ARG(name)).p);
    return usable(s) ? s : SPAN_NONE;
}

struct span header_envelope_from(struct rules_ctx *c)
{
    struct eval_state *s = eval_state(c);
    if (!s->has_envelope) {
        s->has_envelope = true;
        s->envelope = find_sender(c);
    }
    return s->envelope;
}

enum { FEW = 8 }; /* compared one by one */

struct set {
    struct map seen; /* when there are more than a few */
    struct span *v;
    size_t n, cap;
};

static bool in_set(struct rules_ctx *c, struct set *set, struct span s)
{
    if (set->n < FEW) {
        for (size_t i = 0; i < set->n; i++)
            if (span_eq(set->v[i], s))
                return true;
        return false;
    }
    for (size_t i = set->seen.n; i < set->n; i++)
        *map_at(&set->seen, set->v[i]) = c;
    return map_get(&set->seen, s) != NULL;
}

static void add_once(struct rules_ctx *c, struct set *set, struct span s)
{
    if (!in_set(c, set, s))
        *ARENA_PUSH(c->a, set->v, set->n, set->cap) = s;
}

static struct span *lowered(struct rules_ctx *c, const struct span *v, size_t n)
{
    struct span *out = arena_array(c->a, n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++)
        out[i] = arena_lower(c->a, v[i]);
    return out;
}

static struct span single_dots(struct arena *a, struct span s)
{
    if (span_search(s, SPAN("..")) == SIZE_MAX)
        return s;
    char *p = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '.' || n == 0 || p[n - 1] != '.')
            p[n++] = s.p[i];
    return span_of(p, n);
}

static void add_request(struct rules_ctx *c, struct set *set, const char *request, bool squeeze)
{
    size_t n;
    struct span *v = header_list(c, request, &n);
    for (size_t i = 0; i < n; i++)
        if (!squeeze)
            add_once(c, set, v[i]);
        else if (v[i].n > 0)
            add_once(c, set, single_dots(c->a, v[i]));
}

struct span *header_all_from(struct rules_ctx *c, size_t *n)
{
    struct eval_state *s = eval_state(c);
    if (!s->has_all_from) {
        struct set set = {.seen = map_in(c->a)};
        add_request(c, &set, "Resent-From:first:addr", false);
        static const char *const names[] = {"From:addr", "Envelope-Sender:addr",
                                            "Resent-Sender:addr", "X-Envelope-From:addr",
                                            "EnvelopeFrom:addr"};
        bool resent = set.n > 0;
        for (size_t i = 0; !resent && i < sizeof names / sizeof *names; i++)
            add_request(c, &set, names[i], true);
        s->all_from = set.v;
        s->nall_from = set.n;
        s->lower_from = lowered(c, set.v, set.n);
        s->has_all_from = true;
    }
    *n = s->nall_from;
    return s->all_from;
}

const struct span *header_lower_from(struct rules_ctx *c, size_t *n)
{
    (void)header_all_from(c, n);
    return eval_state(c)->lower_from;
}

/* " for <user@host>;" of a Received line: the first such place with a valid host. */
static struct span received_for(struct rules_ctx *c, struct span line)
{
    for (size_t from = 0;; from += 5) {
        size_t at = span_search(span_from(line, from), SPAN(" for "));
        if (at == SIZE_MAX)
            return SPAN_NONE;
        from += at;
        struct span word = span_from(line, from + 5);
        if (word.n && word.p[0] == '<')
            word = span_from(word, 1);
        size_t end = 0;
        while (end < word.n && !ascii_isspace(word.p[end]))
            end++;
        word = span_sub(word, 0, end);
        /* the last @ that is followed by ">;" or ";", and the first such end after it */
        for (size_t mail = word.n; (mail = span_rfind(span_sub(word, 0, mail), '@')) != SIZE_MAX;) {
            size_t semi = span_find(span_from(word, mail + 2), ';');
            if (mail == 0 || semi == SIZE_MAX)
                continue;
            struct span addr = span_sub(word, 0, mail + 2 + semi);
            if (addr.p[addr.n - 1] == '>' && addr.n > mail + 2)
                addr.n--;
            bool valid = uri_fqdn_valid(arena_lower(c->a, span_from(addr, mail + 1)));
            return valid ? addr : SPAN_NONE;
        }
    }
}

struct span *header_all_to(struct rules_ctx *c, size_t *n)
{
    struct eval_state *s = eval_state(c);
    if (!s->has_all_to) {
        struct set set = {.seen = map_in(c->a)};
        add_request(c, &set, "Resent-To:first:addr", false);
        add_request(c, &set, "Resent-Cc:first:addr", false);
        if (set.n == 0) {
            size_t nlines;
            struct span *lines = header_list(c, "Received", &nlines);
            for (size_t i = 0; i < nlines && i < 3; i++) {
                struct span addr = received_for(c, lines[i]);
                if (addr.p)
                    add_once(c, &set, addr);
            }
            static const char *const names[] = {"To:addr",
                                                "Apparently-To:addr",
                                                "Delivered-To:addr",
                                                "Envelope-Recipients:addr",
                                                "Apparently-Resent-To:addr",
                                                "X-Envelope-To:addr",
                                                "Envelope-To:addr",
                                                "X-Delivered-To:addr",
                                                "X-Original-To:addr",
                                                "X-Rcpt-To:addr",
                                                "X-Real-To:addr",
                                                "Cc:addr"};
            for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                add_request(c, &set, names[i], false);
        }
        s->all_to = set.v;
        s->nall_to = set.n;
        s->lower_to = lowered(c, set.v, set.n);
        s->has_all_to = true;
    }
    *n = s->nall_to;
    return s->all_to;
}

const struct span *header_lower_to(struct rules_ctx *c, size_t *n)
{
    (void)header_all_to(c, n);
    return eval_state(c)->lower_to;
}

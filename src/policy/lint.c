/* Policies that can never be taken: their own conditions exclude each other, something they need
 * never comes, or an earlier policy takes all that they mean. Only what is certain is told. */
#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "policy/address.h"
#include "policy/lint_private.h"

void lint_tell(struct lint *l, size_t i, const char *setting, const char *fmt, ...)
{
    char name[128];
    va_list ap;
    va_start(ap, fmt);
    struct span text = arena_vprintf(l->arena, fmt, ap);
    va_end(ap);
    snprintf(name, sizeof name, "policies[%zu]%s%s", i, setting[0] ? "." : "", setting);
    l->tell(l->ctx, name, text.p);
}

/* --- within one policy --- */

static bool range_empty(const struct range *r)
{
    return r->given && (r->from > r->to || (r->from == r->to && (r->above || r->below)));
}

static void check_range(struct lint *l, size_t i, const char *name, const struct range *r,
                        double most)
{
    if (range_empty(r))
        lint_tell(l, i, name, "never matches: nothing lies in '%s'", name);
    else if (r->given && r->from > most)
        lint_tell(l, i, name, "never matches: no message is larger than limits.message_size");
    else if (r->given && r->to < 0 && isfinite(most))
        lint_tell(l, i, name, "never matches: no size is below 0");
}

/* Every pattern stands there a second time with a '!'. */
static void check_negated(struct lint *l, size_t i, const char *name, const struct strings *list)
{
    size_t plain = 0, denied = 0;
    for (size_t k = 0; k < list->n; k++) {
        if (list->v[k][0] == '!')
            continue;
        plain++;
        denied += lint_listed(list, arena_printf(l->arena, "!%s", list->v[k]).p) ||
                  lint_listed(list, "!*");
    }
    if ((plain > 0 && denied == plain) || (plain == 0 && lint_listed(list, "!*")))
        lint_tell(l, i, name, "never matches: '%s' excludes all that it names", name);
}

static void check_one(struct lint *l, size_t i, const struct policy *p)
{
    const struct {
        const char *name;
        const struct strings *list;
    } lists[] = {{"recipients", &p->recipients},
                 {"senders", &p->senders},
                 {"client_names", &p->client_names},
                 {"helo", &p->helo},
                 {"users", &p->users},
                 {"rules", &p->rules},
                 {"virus", &p->virus},
                 {"parts.name", &p->parts.name},
                 {"parts.type", &p->parts.type},
                 {"parts.content", &p->parts.content},
                 {"parts.members", &p->parts.members}};
    double most = (double)l->set->limits.message_size;
    for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++)
        check_negated(l, i, lists[k].name, lists[k].list);
    check_range(l, i, "size", &p->size, most);
    check_range(l, i, "parts.size", &p->parts.size, most);
    check_range(l, i, "score", &p->score, INFINITY);
    lint_meaning(l, i, p);
}

/* --- hidden by another --- */

/* Whether every text that `in` matches is matched by `out`, as far as the patterns tell that. */
static bool pattern_within(const char *in, const char *out, bool addresses)
{
    if (strcmp(in, out) == 0 || strcmp(out, "*") == 0)
        return true;
    if (in[0] == '/' || out[0] == '/')
        return false;
    if (addresses && out[0] == '@' && in[0] == '@')
        return span_ieq(span_str(in), span_str(out));
    if (strpbrk(in, "*?") || (addresses && (in[0] == '.' || in[0] == '@')))
        return false;
    return addresses ? address_matches(out, span_str(in))
                     : glob_matches(span_str(out), span_str(in));
}

static bool patterns_within(const struct strings *in, const struct strings *out, bool addresses)
{
    bool plain = false;
    if (out->n == 0)
        return true;
    for (size_t k = 0; k < out->n; k++)
        if (out->v[k][0] == '!' && !lint_listed(in, out->v[k]))
            return false;
    for (size_t i = 0; i < in->n; i++) {
        bool found = in->v[i][0] == '!';
        plain |= !found;
        for (size_t k = 0; !found && k < out->n; k++)
            found = out->v[k][0] != '!' && pattern_within(in->v[i], out->v[k], addresses);
        if (!found)
            return false;
    }
    if (plain)
        return true;
    for (size_t k = 0; k < out->n; k++) /* all but some, within all but fewer */
        if (out->v[k][0] != '!')
            return false;
    return in->n > 0;
}

static bool words_within(const struct strings *in, const struct strings *out)
{
    for (size_t i = 0; i < in->n; i++)
        if (out->n && !lint_listed(out, in->v[i]))
            return false;
    return out->n == 0 || in->n > 0;
}

static bool nets_within(const struct cidrs *in, const struct cidrs *out)
{
    for (size_t i = 0; i < in->n; i++) {
        bool found = out->n == 0;
        for (size_t k = 0; !found && k < out->n; k++)
            found = out->v[k].bits <= in->v[i].bits && cidr_has(&out->v[k], &in->v[i].net);
        if (!found)
            return false;
    }
    return out->n == 0 || in->n > 0;
}

static bool range_within(const struct range *in, const struct range *out)
{
    if (!out->given)
        return true;
    bool low = in->from > out->from || (in->from == out->from && (!out->above || in->above));
    bool high = in->to < out->to || (in->to == out->to && (!out->below || in->below));
    return in->given && low && high;
}

static bool parts_within(const struct part_test *in, const struct part_test *out)
{
    if (!out->given)
        return true;
    return in->given && patterns_within(&in->name, &out->name, false) &&
           patterns_within(&in->type, &out->type, false) &&
           patterns_within(&in->content, &out->content, false) &&
           patterns_within(&in->members, &out->members, false) &&
           range_within(&in->size, &out->size) &&
           (out->encrypted == WHETHER_ANY || in->encrypted == out->encrypted);
}

static bool header_within(const struct header_test *in, const struct header_test *out)
{
    if (strcasecmp(in->name, out->name) != 0)
        return false;
    if (out->present == WHETHER_YES)
        return in->present != WHETHER_NO;
    if (out->present == WHETHER_NO)
        return in->present == WHETHER_NO;
    return in->present == WHETHER_ANY && patterns_within(&in->patterns, &out->patterns, false);
}

static bool headers_within(const struct header_tests *in, const struct header_tests *out)
{
    for (size_t k = 0; k < out->n; k++) {
        bool found = false;
        for (size_t i = 0; !found && i < in->n; i++)
            found = header_within(&in->v[i], &out->v[k]);
        if (!found)
            return false;
    }
    return true;
}

static bool policy_within(const struct policy *in, const struct policy *out)
{
    return patterns_within(&in->recipients, &out->recipients, true) &&
           patterns_within(&in->senders, &out->senders, true) &&
           nets_within(&in->clients, &out->clients) &&
           words_within(&in->listeners, &out->listeners) &&
           words_within(&in->direction, &out->direction) &&
           patterns_within(&in->client_names, &out->client_names, false) &&
           patterns_within(&in->helo, &out->helo, false) &&
           patterns_within(&in->users, &out->users, false) && range_within(&in->size, &out->size) &&
           range_within(&in->score, &out->score) &&
           patterns_within(&in->rules, &out->rules, false) &&
           patterns_within(&in->virus, &out->virus, false) &&
           words_within(&in->auth.spf, &out->auth.spf) &&
           words_within(&in->auth.dkim, &out->auth.dkim) &&
           words_within(&in->auth.dmarc, &out->auth.dmarc) &&
           words_within(&in->auth.arc, &out->auth.arc) &&
           patterns_within(&in->auth.dkim_domain, &out->auth.dkim_domain, false) &&
           parts_within(&in->parts, &out->parts) && headers_within(&in->header, &out->header);
}

void policy_lint(const struct settings *set, policy_lint_fn *fn, void *ctx)
{
    struct lint l = {set, fn, ctx, arena_new(0)};
    for (size_t i = 0; i < set->policies.n; i++) {
        const struct policy *p = &set->policies.v[i];
        check_one(&l, i, p);
        for (size_t k = 0; k < i && i + 1 < set->policies.n; k++) {
            const struct policy *before = &set->policies.v[k];
            if (before->go_on || !policy_within(p, before))
                continue;
            lint_tell(&l, i, "", "the policy '%s' is never reached: '%s' before it takes all of it",
                      p->name, before->name);
            break;
        }
    }
    arena_free(l.arena);
}

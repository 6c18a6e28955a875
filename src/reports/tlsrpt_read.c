/* TLS reports read from JSON (libjansson). */
#include <jansson.h>

#include "base/clock.h"
#include "base/ip.h"
#include "reports/aggregate.h"
#include "reports/tlsrpt.h"

enum { COUNT_MAX = 1000000000 };

/* A tree takes a hundred times the memory of its text, so it is counted before it is built. */
static bool too_rich(struct span json)
{
    size_t nested = 0, values = 0;
    for (size_t i = 0; i < json.n; i++) {
        nested += json.p[i] == '{' || json.p[i] == '[';
        values += json.p[i] == ',';
    }
    return nested > TLS_JSON_NESTED || values > TLS_JSON_VALUES;
}

static struct span text_of(struct arena *a, const json_t *s)
{
    return json_is_string(s) ? agg_clean(a, span_of(json_string_value(s), json_string_length(s)))
                             : SPAN("");
}

static struct span text(struct arena *a, const json_t *o, const char *key)
{
    return text_of(a, json_object_get(o, key));
}

/* Some write numbers as strings. */
static uint64_t count(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    uint64_t n = 0;
    if (json_is_integer(v) && json_integer_value(v) > 0)
        n = (uint64_t)json_integer_value(v);
    else if (json_is_string(v) && !span_u64(span_str(json_string_value(v)), &n))
        n = 0;
    return n <= COUNT_MAX ? n : 0;
}

static int64_t time_in(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    usec t;
    return s && strlen(s) < 64 && clock_parse(span_str(s), 0, &t) ? t / USEC_PER_SEC : 0;
}

/* A list, or (against the letter, but seen) a single text. */
static struct span *list(struct arena *a, const json_t *o, const char *key, size_t *n)
{
    const json_t *v = json_object_get(o, key), *one;
    struct span *out = arena_array(a, TLS_STRINGS_MAX, sizeof *out);
    size_t i;
    *n = 0;
    if (json_is_string(v))
        out[(*n)++] = text_of(a, v);
    json_array_foreach(v, i, one)
    {
        if (*n < TLS_STRINGS_MAX && json_is_string(one))
            out[(*n)++] = text_of(a, one);
    }
    return out;
}

static struct span address(struct arena *a, const json_t *o, const char *key)
{
    struct ip ip;
    char s[IP_TEXT_SIZE];
    return ip_parse(text(a, o, key), &ip) ? arena_dup(a, span_str(ip_text(&ip, s))) : SPAN("");
}

static void failure(struct arena *a, const json_t *o, struct tls_failure *f)
{
    f->type = text(a, o, "result-type");
    f->sending_ip = address(a, o, "sending-mta-ip");
    f->mx = text(a, o, "receiving-mx-hostname");
    f->helo = text(a, o, "receiving-mx-helo");
    f->receiving_ip = address(a, o, "receiving-ip");
    f->count = count(o, "failed-session-count");
    f->info = text(a, o, "additional-information");
    f->code = text(a, o, "failure-reason-code");
}

static bool policy(struct arena *a, const json_t *o, struct tls_policy *p)
{
    const json_t *published = json_object_get(o, "policy"), *sum = json_object_get(o, "summary");
    const json_t *details = json_object_get(o, "failure-details"), *one;
    size_t i;
    p->type = text(a, published, "policy-type");
    p->domain = arena_lower(a, text(a, published, "policy-domain"));
    p->strings = list(a, published, "policy-string", &p->nstrings);
    p->mx = list(a, published, "mx-host", &p->nmx);
    p->successes = count(sum, "total-successful-session-count");
    p->failures = count(sum, "total-failure-session-count");
    json_array_foreach(details, i, one)
    {
        if (json_is_object(one) && p->n < TLS_FAILURES_MAX)
            failure(a, one, ARENA_PUSH(a, p->v, p->n, p->cap));
    }
    return p->domain.n > 0;
}

static int read_tree(const json_t *o, struct arena *a, struct tls_report *out, struct err *e)
{
    const json_t *range = json_object_get(o, "date-range");
    const json_t *policies = json_object_get(o, "policies"), *one;
    size_t i;
    out->org = text(a, o, "organization-name");
    out->contact = text(a, o, "contact-info");
    out->id = text(a, o, "report-id");
    out->begin = time_in(range, "start-datetime");
    out->end = time_in(range, "end-datetime");
    json_array_foreach(policies, i, one)
    {
        struct tls_policy p = {0};
        if (out->n == TLS_POLICIES_MAX || !policy(a, one, &p))
            out->left_out++;
        else
            *ARENA_PUSH(a, out->policies, out->n, out->cap) = p;
    }
    if (!out->org.n || !out->id.n)
        return err_set(e, "the report has no %s", out->org.n ? "report-id" : "organization-name");
    if (out->begin <= 0 || out->end < out->begin)
        return err_set(e, "the report does not say about which time it is");
    return out->n ? 0 : err_set(e, "the report has no policies");
}

int tls_read(struct span json, struct arena *a, struct tls_report *out, struct err *e)
{
    json_error_t je;
    *out = (struct tls_report){0};
    if (json.n > TLS_JSON_MAX || too_rich(json))
        return err_set(e, "the report is too large");
    json_t *o = json_loadb(json.p, json.n, 0, &je);
    if (!o)
        return err_set(e, "line %d: %s", je.line, je.text);
    int result = read_tree(o, a, out, e);
    json_decref(o);
    return result;
}

#include "deliver/sts_policy.h"

/* sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim] */
bool sts_record_parse(struct span text, struct span *id)
{
    struct span version = span_trim(span_sub(text, 0, span_find(text, ';')));
    *id = SPAN_NONE;
    if (!span_eq(version, SPAN("v=STSv1")) || span_find(text, ';') == SIZE_MAX)
        return false;
    text = span_from(text, span_find(text, ';') + 1);
    while (text.n) {
        size_t end = span_find(text, ';');
        struct span field = span_trim(span_sub(text, 0, end));
        text = end == SIZE_MAX ? SPAN("") : span_from(text, end + 1);
        if (!id->p && field.n > 3 && span_eq(span_sub(field, 0, 3), SPAN("id=")))
            *id = span_from(field, 3);
    }
    for (size_t i = 0; i < id->n; i++)
        if (!ascii_isalnum(id->p[i]))
            return false;
    return id->n > 0 && id->n <= STS_ID_MAX;
}

struct reading {
    struct arena *a;
    struct sts_policy *out;
    size_t cap;
    bool version, mode, age;
};

static bool pattern_ok(struct span s)
{
    if (s.n > 2 && s.p[0] == '*' && s.p[1] == '.')
        s = span_from(s, 2);
    if (s.n == 0 || s.n > 253 || s.p[0] == '.' || s.p[s.n - 1] == '.')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '.' && s.p[i] != '_')
            return false;
    return true;
}

static int take_mode(struct reading *r, struct span value, struct err *why)
{
    static const char *const words[] = {"none", "testing", "enforce"};
    if (r->mode)
        return 0;
    for (size_t i = 0; i < 3; i++)
        if (span_eq(value, span_str(words[i]))) {
            r->out->mode = (enum sts_mode)i;
            r->mode = true;
            return 0;
        }
    return err_set(why, "no mode that is known");
}

static int take_age(struct reading *r, struct span value, struct err *why)
{
    uint64_t n;
    if (r->age)
        return 0;
    if (!span_u64(value, &n) || value.n > 10)
        return err_set(why, "max_age is not a number of seconds");
    r->out->max_age = n < STS_AGE_MAX ? (uint32_t)n : STS_AGE_MAX;
    r->age = true;
    return 0;
}

static int take_field(struct reading *r, struct span key, struct span value, struct err *why)
{
    struct sts_policy *p = r->out;
    if (span_eq(key, SPAN("version"))) {
        r->version |= span_eq(value, SPAN("STSv1"));
    } else if (span_eq(key, SPAN("mode"))) {
        return take_mode(r, value, why);
    } else if (span_eq(key, SPAN("max_age"))) {
        return take_age(r, value, why);
    } else if (span_eq(key, SPAN("mx"))) {
        if (!pattern_ok(value))
            return err_set(why, "an mx that is no host name");
        if (p->n == STS_MX_MAX)
            return err_set(why, "more than %d mx", STS_MX_MAX);
        *ARENA_PUSH(r->a, p->mx, p->n, r->cap) = arena_lower(r->a, value);
    }
    return 0; /* unknown fields are for those who know them */
}

int sts_policy_parse(struct span text, struct arena *a, struct sts_policy *out, struct err *why)
{
    struct reading r = {.a = a, .out = out};
    struct span line;
    *out = (struct sts_policy){0};
    if (text.n > STS_POLICY_MAX)
        return err_set(why, "longer than %d bytes", STS_POLICY_MAX);
    while (span_line(&text, &line)) {
        line = span_trim(line);
        size_t colon = span_find(line, ':');
        if (line.n == 0)
            continue;
        if (colon == SIZE_MAX)
            return err_set(why, "a line without ':'");
        struct span key = span_trim(span_sub(line, 0, colon));
        if (take_field(&r, key, span_trim(span_from(line, colon + 1)), why) < 0)
            return -1;
    }
    if (!r.version || !r.mode || !r.age)
        return err_set(why, "version, mode or max_age is missing");
    if (out->mode != STS_NONE && out->n == 0)
        return err_set(why, "no mx");
    return 0;
}

bool sts_policy_matches(const struct sts_policy *p, struct span host)
{
    size_t dot = span_find(host, '.');
    struct span parent = dot == SIZE_MAX ? SPAN("") : span_from(host, dot);
    for (size_t i = 0; i < p->n; i++) {
        struct span mx = p->mx[i];
        if (mx.p[0] != '*' ? span_ieq(mx, host)
                           : dot > 0 && parent.n && span_ieq(span_from(mx, 1), parent))
            return true;
    }
    return false;
}

#define PCRE2_CODE_UNIT_WIDTH 8
#include "config/pattern.h"

#include <pcre2.h>

bool pattern_negated(struct span *s)
{
    if (s->n == 0 || s->p[0] != '!')
        return false;
    *s = span_from(*s, 1);
    return true;
}

static bool option_of(char flag, uint32_t *out)
{
    switch (flag) {
    case 'i':
        *out |= PCRE2_CASELESS;
        return true;
    case 's':
        *out |= PCRE2_DOTALL;
        return true;
    case 'm':
        *out |= PCRE2_MULTILINE;
        return true;
    case 'x':
        *out |= PCRE2_EXTENDED;
        return true;
    default:
        return false;
    }
}

bool pattern_regex(struct span s, struct span *regex, uint32_t *options)
{
    size_t end = span_rfind(s, '/');
    if (s.n < 2 || s.p[0] != '/' || end == 0)
        return false;
    *options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF;
    for (size_t i = end + 1; i < s.n; i++)
        if (!option_of(s.p[i], options))
            return false;
    *regex = span_sub(s, 1, end);
    return true;
}

int pattern_check(struct span s, struct err *e)
{
    struct span regex;
    uint32_t options;
    pattern_negated(&s);
    if (s.n == 0 || s.p[0] != '/')
        return 0;
    if (!pattern_regex(s, &regex, &options))
        return err_set(e, "expected /regex/ with flags i, s, m or x, not '%.*s'", SPAN_ARG(s));
    int code;
    size_t at;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)regex.p, regex.n, options, &code, &at, NULL);
    if (re) {
        pcre2_code_free(re);
        return 0;
    }
    PCRE2_UCHAR text[256] = "";
    pcre2_get_error_message(code, text, sizeof text);
    return err_set(e, "the regular expression '%.*s' is broken at character %zu: %s",
                   SPAN_ARG(regex), at + 1, (const char *)text);
}

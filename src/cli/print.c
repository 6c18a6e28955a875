#include "cli/print.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"

/* Bytes of the character at the start of s that a terminal may see, 0 when it may not: no control
 * characters, neither those of ASCII nor C1. */
static size_t shown(struct span s)
{
    unsigned char c = (unsigned char)s.p[0];
    if (c < ' ' || c == 0x7f || (c == 0xc2 && s.n > 1 && (unsigned char)s.p[1] < 0xa0))
        return 0;
    return utf8_length(s);
}

void print_text(FILE *out, struct span s, size_t max)
{
    size_t i = 0;
    while (i < s.n && i < max) {
        size_t n = shown(span_from(s, i));
        if (n)
            fwrite(s.p + i, 1, n, out);
        else
            fprintf(out, "\\x%02x", (unsigned char)s.p[i]);
        i += n ? n : 1;
    }
    if (i < s.n)
        fputs("...", out);
}

json_t *json_of(struct span s)
{
    if (!s.p)
        return json_null();
    json_t *j = json_stringn(s.p, s.n);
    if (j)
        return j;
    struct buf b = {0};
    utf8_add(&b, s);
    j = json_stringn(b.p, b.n);
    buf_free(&b);
    return j;
}

json_t *json_time(usec t)
{
    char text[CLOCK_ISO_SIZE];
    return json_string(clock_iso(t, text));
}

void print_json(FILE *out, json_t *o)
{
    json_dumpf(o, out, JSON_COMPACT | JSON_REAL_PRECISION(6));
    fputc('\n', out);
    json_decref(o);
}

static const char *known(const struct field_option *options, size_t n, const char *intro, char *why,
                         size_t why_size)
{
    size_t used = (size_t)snprintf(why, why_size, "%s", intro);
    for (size_t i = 0; i < n && used < why_size; i++)
        used +=
            (size_t)snprintf(why + used, why_size - used, "%s %s=", i ? "," : ":", options[i].name);
    return why;
}

const char *take_field(const struct field_option *options, size_t n, const char *arg, char *why,
                       size_t why_size)
{
    struct span s = span_str(arg);
    size_t eq = span_find(s, '=');
    if (eq == SIZE_MAX) {
        char intro[200];
        snprintf(intro, sizeof intro, "'%.100s' is neither an id nor field=value; fields", arg);
        return known(options, n, intro, why, why_size);
    }
    for (size_t i = 0; i < n; i++) {
        if (!span_eq(span_sub(s, 0, eq), span_str(options[i].name)))
            continue;
        struct span value = span_from(s, eq + 1);
        if (options[i].text)
            *options[i].text = value;
        else if (!clock_parse(value, clock_wall(), options[i].time)) {
            snprintf(why, why_size,
                     "'%.100s' is no time: say 2026-11-22, 2026-11-22T07:30, or an age as 2h or 3d",
                     value.p);
            return why;
        }
        return NULL;
    }
    char intro[200];
    snprintf(intro, sizeof intro, "no field '%.*s'; there are", (int)(eq < 100 ? eq : 100), arg);
    return known(options, n, intro, why, why_size);
}

const char *operator_name(char *out, size_t n)
{
    const char *sudo = getenv("SUDO_USER");
    struct passwd *pw = getpwuid(getuid());
    if (sudo && getuid() == 0)
        snprintf(out, n, "%s (sudo)", sudo);
    else if (pw)
        snprintf(out, n, "%s", pw->pw_name);
    else
        snprintf(out, n, "uid %u", (unsigned)getuid());
    return out;
}

#include "base/clock.h"

#include <stdio.h>

static usec read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (usec)t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

usec clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

usec clock_mono(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

char *clock_iso(usec wall, char out[CLOCK_ISO_SIZE])
{
    time_t s = (time_t)(wall / USEC_PER_SEC);
    struct tm tm;
    gmtime_r(&s, &tm);
    size_t n = strftime(out, CLOCK_ISO_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, CLOCK_ISO_SIZE - n, ".%03dZ", (int)(wall % USEC_PER_SEC / 1000));
    return out;
}

char *clock_rfc5322(usec wall, char out[CLOCK_RFC5322_SIZE])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t s = (time_t)(wall / USEC_PER_SEC);
    struct tm tm;
    localtime_r(&s, &tm);
    long minutes = tm.tm_gmtoff / 60;
    char sign = minutes < 0 ? '-' : '+';
    if (minutes < 0)
        minutes = -minutes;
    snprintf(out, CLOCK_RFC5322_SIZE, "%.3s, %d %.3s %d %02d:%02d:%02d %c%02ld%02ld",
             days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900,
             tm.tm_hour, tm.tm_min, tm.tm_sec, sign, minutes / 60 % 100, minutes % 60);
    return out;
}

static bool parse_age(struct span text, usec now, usec *out)
{
    uint64_t count;
    if (text.n < 2 || !span_u64(span_sub(text, 0, text.n - 1), &count) || count > 1000000)
        return false;
    usec unit;
    switch (text.p[text.n - 1]) {
    case 's':
        unit = 1;
        break;
    case 'm':
        unit = 60;
        break;
    case 'h':
        unit = 3600;
        break;
    case 'd':
        unit = 86400;
        break;
    case 'w':
        unit = 604800;
        break;
    default:
        return false;
    }
    *out = now - (usec)count * unit * USEC_PER_SEC;
    return true;
}

bool clock_parse(struct span text, usec now, usec *out)
{
    char s[64];
    if (parse_age(text, now, out))
        return true;
    if (text.n == 0 || text.n >= sizeof s)
        return false;
    memcpy(s, text.p, text.n);
    s[text.n] = '\0';
    struct tm tm = {0};
    const char *rest = strptime(s, "%Y-%m-%d", &tm);
    if (!rest)
        return false;
    if (*rest == 'T' || *rest == ' ') {
        const char *seconds = strptime(rest + 1, "%H:%M:%S", &tm);
        rest = seconds ? seconds : strptime(rest + 1, "%H:%M", &tm);
        if (!rest)
            return false;
        if (*rest == '.')
            for (rest++; ascii_isdigit(*rest);)
                rest++;
    }
    long offset = 0;
    if (*rest) { /* "Z", "+hh", "+hhmm", "+hh:mm" */
        struct tm zone = {0};
        rest = strptime(rest, "%z", &zone);
        if (!rest)
            return false;
        offset = zone.tm_gmtoff;
    }
    if (*rest)
        return false;
    *out = ((usec)timegm(&tm) - offset) * USEC_PER_SEC;
    return true;
}

#include "rules/date.h"

/* Longer texts are looked at up to here; a date stands early. */
enum { DATE_MAX = 16384 };

static const struct {
    const char *name;
    int minutes;
} zones[] = {
    {"UT", 0},      {"UTC", 0},    {"NDT", -150}, {"AST", -240},  {"ADT", -180},  {"NST", -210},
    {"EST", -300},  {"EDT", -240}, {"CST", -360}, {"CDT", -300},  {"MST", -420},  {"MDT", -360},
    {"PST", -480},  {"PDT", -420}, {"HST", -600}, {"AKST", -540}, {"AKDT", -480}, {"HADT", -540},
    {"HAST", -600}, {"GMT", 0},    {"BST", 60},   {"IST", 60},    {"WET", 0},     {"WEST", 60},
    {"CET", 60},    {"CEST", 120}, {"EET", 120},  {"EEST", 180},  {"MSK", 180},   {"MSD", 240},
    {"MET", 60},    {"MEZ", 60},   {"MEST", 120}, {"MESZ", 120},  {"BRST", -120}, {"BRT", -180},
    {"AEST", 600},  {"AEDT", 660}, {"ACST", 570}, {"ACDT", 630},  {"AWST", 480},  {"NZST", 720},
    {"NZDT", 780},  {"JST", 540},  {"KST", 540},  {"HKT", 480},   {"SGT", 480},   {"PHT", 480},
    {"IDT", 180},
};

/* " words separated by single spaces ", a space behind each comma dropped with it; each piece that
 * was read is replaced by one space. */
struct line {
    char p[DATE_MAX + 4];
    size_t n;
};

static void fill(struct line *l, struct span s)
{
    l->n = 0;
    l->p[l->n++] = ' ';
    for (size_t i = 0; i < s.n && l->n < DATE_MAX; i++) {
        char c = s.p[i] == ',' || ascii_isspace(s.p[i]) ? ' ' : s.p[i];
        if (c != ' ' || l->p[l->n - 1] != ' ')
            l->p[l->n++] = c;
    }
    if (l->p[l->n - 1] != ' ')
        l->p[l->n++] = ' ';
    l->p[l->n] = '\0';
}

static void take(struct line *l, size_t from, size_t to)
{
    l->p[from] = ' ';
    memmove(l->p + from + 1, l->p + to, l->n - to + 1);
    l->n -= to - from - 1;
}

/* A number of min to max digits at *at, which moves behind it. Large ones stay large. */
static bool number(const struct line *l, size_t *at, size_t min, size_t max, long *out)
{
    size_t n = 0;
    long v = 0;
    while (ascii_isdigit(l->p[*at + n])) {
        if (v < 1000000)
            v = v * 10 + (l->p[*at + n] - '0');
        n++;
    }
    if (n < min || n > max)
        return false;
    *at += n;
    *out = v;
    return true;
}

static bool character(const struct line *l, size_t *at, char c)
{
    if (l->p[*at] != c)
        return false;
    ++*at;
    return true;
}

static bool month(const struct line *l, size_t *at, long *out)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    for (int i = 0; i < 12; i++)
        if (span_ieq(span_sub(span_of(l->p, l->n), *at, *at + 3), span_of(names + 3 * i, 3))) {
            *at += 3;
            *out = i + 1;
            return true;
        }
    return false;
}

struct date {
    long day, month, year;
    size_t year_digits;
    long hour, minute, second;
};

enum { ANY = 1 << 20 };

/* " d Mon yyyy " or, with two or three digits of the year, " d Mon yy ". */
static bool day_first(const struct line *l, size_t *at, struct date *d, size_t min, size_t max)
{
    if (!character(l, at, ' ') || !number(l, at, 1, ANY, &d->day) || !character(l, at, ' ') ||
        !month(l, at, &d->month) || !character(l, at, ' '))
        return false;
    size_t start = *at;
    if (!number(l, at, min, max, &d->year))
        return false;
    d->year_digits = *at - start;
    return character(l, at, ' ');
}

/* " Mon d hh:mm:ss yyyy " */
static bool month_first(const struct line *l, size_t *at, struct date *d)
{
    long skip;
    d->year_digits = 4;
    return character(l, at, ' ') && month(l, at, &d->month) && character(l, at, ' ') &&
           number(l, at, 1, ANY, &d->day) && character(l, at, ' ') &&
           number(l, at, 1, ANY, &skip) && character(l, at, ':') && number(l, at, 1, ANY, &skip) &&
           character(l, at, ':') && number(l, at, 1, ANY, &skip) && character(l, at, ' ') &&
           number(l, at, 4, 4, &d->year) && character(l, at, ' ');
}

static bool find_day(struct line *l, struct date *d)
{
    for (int form = 0; form < 3; form++)
        for (size_t i = 0; i < l->n; i++) {
            size_t at = i;
            if (l->p[i] != ' ')
                continue;
            bool hit = form == 1 ? month_first(l, &at, d)
                                 : day_first(l, &at, d, form ? 2 : 4, form ? 3 : 4);
            if (hit) {
                take(l, i, at);
                return true;
            }
        }
    return false;
}

static void find_time(struct line *l, struct date *d)
{
    for (size_t i = 0; i < l->n; i++) {
        size_t at = i;
        long h, m, s = 0;
        if (!character(l, &at, ' ') || !number(l, &at, 1, 2, &h) || !character(l, &at, ':') ||
            !number(l, &at, 2, 2, &m))
            continue;
        size_t with = at;
        if (character(l, &with, ':') && number(l, &with, 2, 2, &s))
            at = with;
        if (!character(l, &at, ' '))
            continue;
        d->hour = h;
        d->minute = m;
        d->second = s;
        take(l, i, at);
        return;
    }
}

static bool word_byte(char c)
{
    return ascii_isalnum(c) || c == '_';
}

/* The first word of two to four capitals, perhaps with -DST behind it. */
static int zone_by_name(const struct line *l)
{
    for (size_t i = 1; i < l->n; i++) {
        size_t n = 0;
        if (word_byte(l->p[i - 1]))
            continue;
        while (l->p[i + n] >= 'A' && l->p[i + n] <= 'Z')
            n++;
        if (n < 2 || n > 4 || word_byte(l->p[i + n]))
            continue;
        if (memcmp(l->p + i + n, "-DST", 4) == 0 && !word_byte(l->p[i + n + 4]))
            return 0;
        for (size_t k = 0; k < sizeof zones / sizeof *zones; k++)
            if (span_eq(span_of(l->p + i, n), span_str(zones[k].name)))
                return zones[k].minutes;
        return 0;
    }
    return 0;
}

static int find_zone(const struct line *l)
{
    for (size_t i = 0; i + 6 < l->n + 1; i++) {
        size_t at = i + 2;
        long v;
        if (l->p[i] == ' ' && (l->p[i + 1] == '+' || l->p[i + 1] == '-') &&
            number(l, &at, 4, 4, &v) && l->p[at] == ' ') {
            int minutes = (int)(v / 100 * 60 + v % 100);
            return l->p[i + 1] == '-' ? -minutes : minutes;
        }
    }
    return zone_by_name(l);
}

static bool leap(long y)
{
    return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

static long days_in(long m, long y)
{
    if (m == 2)
        return leap(y) ? 29 : 28;
    return m == 4 || m == 6 || m == 9 || m == 11 ? 30 : 31;
}

/* --- as nearly all mail has it --- */

static size_t blanks(struct span s, size_t at)
{
    size_t n = 0;
    while (at + n < s.n && ascii_isspace(s.p[at + n]))
        n++;
    return n;
}

/* Exactly `n` digits; *at moves behind them. */
static bool digits(struct span s, size_t *at, size_t n, long *out)
{
    if (*at + n > s.n)
        return false;
    *out = 0;
    for (size_t i = 0; i < n; i++, ++*at) {
        if (!ascii_isdigit(s.p[*at]))
            return false;
        *out = *out * 10 + (s.p[*at] - '0');
    }
    return true;
}

static bool gap(struct span s, size_t *at)
{
    size_t n = blanks(s, *at);
    *at += n;
    return n > 0;
}

static bool month_of(struct span s, size_t *at, long *out)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    enum { LENGTH = 3, MONTHS = 12 };
    if (*at + LENGTH > s.n)
        return false;
    char name[LENGTH];
    for (size_t i = 0; i < LENGTH; i++)
        name[i] = ascii_lower(s.p[*at + i]);
    for (long i = 0; i < MONTHS; i++)
        if (memcmp(names + LENGTH * i, name, LENGTH) == 0) {
            *at += LENGTH;
            *out = i + 1;
            return true;
        }
    return false;
}

static size_t day_digits(struct span s, size_t at)
{
    return at + 1 < s.n && ascii_isdigit(s.p[at + 1]) ? 2 : 1;
}

/* "Wed, 21 Aug 2002 11:56:17 +0100", with or without the day of the week, and whatever follows.
 * Nothing in front of its parts could be taken for them. */
static bool ordinary(struct span s, struct date *d, int *zone)
{
    enum { WEEKDAY = 3 };
    size_t at = blanks(s, 0);
    long hours, minutes;
    if (at + WEEKDAY < s.n && s.p[at + WEEKDAY] == ',') {
        for (size_t end = at + WEEKDAY; at < end; at++)
            if (!ascii_isalpha(s.p[at]))
                return false;
        at++;
        at += blanks(s, at);
    }
    d->year_digits = 4;
    bool fine = digits(s, &at, day_digits(s, at), &d->day) && gap(s, &at) &&
                month_of(s, &at, &d->month) && gap(s, &at) && digits(s, &at, 4, &d->year) &&
                gap(s, &at) && digits(s, &at, 2, &d->hour) && at < s.n && s.p[at++] == ':' &&
                digits(s, &at, 2, &d->minute) && at < s.n && s.p[at++] == ':' &&
                digits(s, &at, 2, &d->second) && gap(s, &at) && at < s.n;
    if (!fine || (s.p[at] != '+' && s.p[at] != '-'))
        return false;
    bool west = s.p[at++] == '-';
    if (!digits(s, &at, 2, &hours) || !digits(s, &at, 2, &minutes) ||
        (at < s.n && !ascii_isspace(s.p[at])))
        return false;
    *zone = (int)(hours * 60 + minutes) * (west ? -1 : 1);
    return true;
}

/* In any of the forms that are known. */
static bool unusual(struct span text, struct date *d, int *zone)
{
    struct line l;
    fill(&l, text);
    if (!find_day(&l, d))
        return false;
    if (d->year_digits == 2 && d->year < 50)
        d->year += 2000;
    else if (d->year_digits != 4)
        d->year += 1900;
    find_time(&l, d);
    *zone = find_zone(&l);
    return true;
}

static int64_t days_before(long y, long m, long d)
{
    static const int cumulative[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t days =
        365 * (y - 1970) + (y - 1969) / 4; /* 1970 to 2037: no century without leap day */
    return days + cumulative[m - 1] + (m > 2 && leap(y)) + d - 1;
}

static long at_most(long v, long most)
{
    return v > most ? most : v;
}

bool date_parse(struct span text, int64_t *out)
{
    struct date d = {0};
    int zone;
    if (!ordinary(text, &d, &zone)) {
        d = (struct date){0};
        if (!unusual(text, &d, &zone))
            return false;
    }
    if (d.day > days_in(d.month, d.year)) {
        d.day = 1;
        if (++d.month > 12) {
            d.month = 1;
            d.year++;
        }
    }
    d.year = d.year < 1970 ? 1970 : at_most(d.year, 2037);
    if (d.day < 1 || d.day > days_in(d.month, d.year))
        return false;
    int64_t t = days_before(d.year, d.month, d.day) * 86400 + at_most(d.hour, 23) * 3600 +
                at_most(d.minute, 59) * 60 + at_most(d.second, 59);
    t -= (int64_t)zone * 60;
    *out = t < 0 && zone > 0 ? 0 : t;
    return true;
}

/* Dates of HeaderEval (semantics 8.5): Date against Received, Outlook's Message-Id. */
#include "rules/eval_state.h"

#include "relays/template.h"
#include "rules/date.h"
#include "rules/eval.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

struct dates {
    bool has_date;
    int64_t date;
    int64_t *received; /* newest first */
    size_t nreceived;
    double diff;
};

static bool find_date(struct rules_ctx *c, int64_t *out)
{
    static const char *const names[] = {"Resent-Date", "Date"};
    for (size_t k = 0; k < 2; k++) {
        size_t n;
        struct span *v = header_list(c, names[k], &n);
        for (size_t i = 0; i < n; i++)
            if (span_trim(v[i]).n && date_parse(v[i], out))
                return true;
    }
    return false;
}

struct lines_list {
    struct span *v;
    size_t n, cap;
};

static struct lines_list received_lines(struct rules_ctx *c)
{
    struct lines_list out = {0};
    struct span rest = header_scalar(c, "Received");
    while (rest.n) {
        size_t lf = span_find(rest, '\n'), end = lf == SIZE_MAX ? rest.n : lf;
        if (span_trim(span_sub(rest, 0, end)).n)
            *ARENA_PUSH(c->a, out.v, out.n, out.cap) = span_sub(rest, 0, end);
        rest = span_from(rest, end + 1);
    }
    return out;
}

static bool holds(struct span line, const char *text)
{
    return span_search(line, span_str(text)) != SIZE_MAX;
}

static bool found(struct rules_ctx *c, struct span line, const char *template)
{
    struct template_match m = {.line = line, .arena = c->a, .memory = c->templates};
    return template_search(&m, template, NULL, NULL);
}

/* Lines of the local machine above fetchmail's line tell when mail was fetched, not when it came.
 */
static size_t fetched_lines(struct rules_ctx *c, const struct lines_list *l)
{
    struct span line = l->v[0];
    if (!holds(line, "(fetchmail-") && !(l->n > 1 && holds(l->v[1], "(fetchmail-")))
        return 0;
    size_t at = (holds(line, "localhost") || holds(line, "127.0.0.1") || holds(line, "by uid ")) &&
                (found(c, line, "$_from {localhost$:|{$W $W |$W }$Q$_127.0.0.1$_}") ||
                 found(c, line, "qmail $N invoked by uid $N"));
    bool fetched = at < l->n && holds(l->v[at], "(fetchmail-") &&
                   found(c, l->v[at], "$_by localhost with $~ (fetchmail-$%");
    return fetched ? at + 1 : 0;
}

/* Back over the digits that end before `at`; SIZE_MAX: there are none, or no c before them. */
static size_t before_digits(struct span line, size_t at, char c)
{
    size_t from = at;
    while (from && ascii_isdigit(line.p[from - 1]))
        from--;
    return from < at && from && (!c || line.p[from - 1] == c) ? from - 1 : SIZE_MAX;
}

/* The byte before the day in "1 Jan 2024 12:34:56 +0000", whose first colon is given. */
static size_t before_day(struct span line, size_t colon)
{
    enum { MONTH = 3 };
    size_t at = before_digits(line, colon, ' ');
    at = at == SIZE_MAX ? at : before_digits(line, at, ' ');
    if (at == SIZE_MAX || at < MONTH + 1 || line.p[at - MONTH - 1] != ' ')
        return SIZE_MAX;
    for (size_t i = 1; i <= MONTH; i++)
        if (ascii_isspace(line.p[at - i]))
            return SIZE_MAX;
    return before_digits(line, at - MONTH - 1, '\0');
}

/* \d+ followed by one of `ends`, from `at` on: the place behind it; SIZE_MAX: none. */
static size_t number_and(struct span line, size_t at, char end)
{
    size_t from = at;
    while (at < line.n && ascii_isdigit(line.p[at]))
        at++;
    return at > from && at < line.n && line.p[at] == end ? at + 1 : SIZE_MAX;
}

/* "12:34:56 +0000" whose first colon is given: where it ends, or SIZE_MAX. */
static size_t time_end(struct span line, size_t colon)
{
    size_t at = number_and(line, colon + 1, ':');
    at = at == SIZE_MAX ? at : number_and(line, at, ' ');
    if (at == SIZE_MAX || at == line.n || ascii_isspace(line.p[at]))
        return SIZE_MAX;
    while (at < line.n && !ascii_isspace(line.p[at]))
        at++;
    return at;
}

/* The first date with a time in the line: white space and perhaps one other byte stand before it
 * (\s.?\d+ \S\S\S \d+ \d+:\d+:\d+ \S+). Looked for by its colons. */
static bool line_time(struct span line, int64_t *out)
{
    for (size_t at = 0, colon; (colon = span_find(span_from(line, at), ':')) != SIZE_MAX; at++) {
        at += colon;
        size_t day = before_day(line, at), end = day == SIZE_MAX ? day : time_end(line, at);
        if (end == SIZE_MAX)
            continue;
        if (day > 0 && ascii_isspace(line.p[day - 1]) && line.p[day] != '\n')
            return date_parse(span_sub(line, day - 1, end), out);
        if (ascii_isspace(line.p[day]))
            return date_parse(span_sub(line, day, end), out);
    }
    return false;
}

static double smallest(const struct dates *d)
{
    double best = 0;
    for (size_t i = 0; i < d->nreceived; i++) {
        double diff = (double)(d->date - d->received[i]);
        /* no difference in the oldest line says nothing when there are others */
        if (i > 0 && i + 1 == d->nreceived && diff == 0)
            break;
        if (i == 0 || fabs(diff) < fabs(best))
            best = diff;
    }
    return best;
}

static struct dates *dates(struct rules_ctx *c)
{
    struct eval_state *s = eval_state(c);
    if (s->dates)
        return s->dates;
    struct dates *d = s->dates = ARENA_NEW(c->a, struct dates);
    d->has_date = find_date(c, &d->date);
    struct lines_list l = received_lines(c);
    d->received = arena_array(c->a, l.n + 1, sizeof *d->received);
    for (size_t i = l.n ? fetched_lines(c, &l) : 0; i < l.n; i++)
        if (line_time(l.v[i], &d->received[d->nreceived]))
            d->nreceived++;
    if (d->has_date && d->nreceived)
        d->diff = smallest(d);
    return d;
}

/* The first of them that says it. */
static bool first_time(struct rules_ctx *c, const char *name, int64_t *out)
{
    size_t n;
    const struct span *v = header_list(c, name, &n);
    for (size_t i = 0; i < n; i++)
        if (date_parse(v[i], out))
            return true;
    return false;
}

int64_t message_time(struct rules_ctx *c)
{
    int64_t when;
    struct lines_list l = received_lines(c);
    size_t first = l.n ? fetched_lines(c, &l) : 0;
    if (first < l.n && date_parse(l.v[first], &when) && when)
        return when;
    for (size_t i = 0; i < l.n; i++)
        if (date_parse(l.v[i], &when) && when)
            return when;
    if (first_time(c, "Resent-Date", &when) || first_time(c, "Date", &when))
        return when;
    return time(NULL);
}

static double check_for_shifted_date(struct rules_ctx *c, const struct eval_call *call)
{
    double diff = dates(c)->diff;
    return (eval_open(call, 0) || diff >= 3600 * eval_number(call, 0, 0)) &&
           (eval_open(call, 1) || diff < 3600 * eval_number(call, 1, 0));
}

/* <ffffTTTTTTTT$..@: T is the time in units of about 429 seconds; 250 of them are tolerated. */
static bool outlook_time_fits(double token, struct span date)
{
    int64_t t = 0;
    if (!date_parse(date, &t))
        t = 0;
    double expected = floor((double)t * 0.0023283064365387 + 27111902.8329849);
    return fabs(token - expected) < 250;
}

static double check_outlook_message_id(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    struct span id = header_scalar(c, "MESSAGEID");
    static const char form[] = "<hhhhhhhhhhhh$hhhhhhhh$hhhhhhhh@";
    for (size_t i = 0; i < sizeof form - 1; i++) {
        char ch = i < id.n ? id.p[i] : '\0';
        bool hex = ascii_isdigit(ch) || (ch >= 'a' && ch <= 'f');
        if (form[i] == 'h' ? !hex : ch != form[i])
            return 0;
    }
    char digits[9];
    memcpy(digits, id.p + 5, 8);
    digits[8] = '\0';
    double token = (double)strtoul(digits, NULL, 16);
    return !outlook_time_fits(token, header_scalar(c, "Date")) &&
           !outlook_time_fits(token, header_scalar(c, "Received"));
}

/* The median of what the message says about when it came. */
static double received_within_months(struct rules_ctx *c, const struct eval_call *call)
{
    const struct dates *d = dates(c);
    double v[3];
    size_t n = 0;
    if (d->has_date)
        v[n++] = (double)d->date;
    if (d->nreceived)
        v[n++] = (double)d->received[0];
    if (d->has_date && d->nreceived)
        v[n++] = (double)d->date - d->diff;
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++)
            if (v[k] > v[i]) {
                double t = v[i];
                v[i] = v[k];
                v[k] = t;
            }
    double age = (double)time(NULL) - (n ? v[(n - 1) / 2] : 0), month = 31556952.0 / 12;
    return (eval_open(call, 0) || age >= month * eval_number(call, 0, 0)) &&
           (eval_open(call, 1) || age < month * eval_number(call, 1, 0));
}

#define ROW(fn)                                                                                    \
    {                                                                                              \
#fn, "HeaderEval", fn, .types = EVAL_HEAD                                                  \
    }
const struct eval_fn_def eval_date[] = {
    ROW(check_for_shifted_date),
    ROW(check_outlook_message_id),
    ROW(received_within_months),
    {NULL},
};

/* Sending the reports of a day through the running gateway, or writing them into files. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/reports.h"
#include "reports/dispatch.h"

static int failed(const struct reports_query *q, const struct err *e)
{
    fprintf(stderr, "gatehouse %s: %s%s\n", q->command, e->text, cli_remedy(e));
    return EXIT_TEMPFAIL;
}

/* --- by the gateway --- */

struct sending {
    const struct reports_query *q;
    uint64_t mails, problems, lines;
};

static struct span member(const json_t *o, const char *key)
{
    const json_t *s = json_object_get(o, key);
    return json_is_string(s) ? span_of(json_string_value(s), json_string_length(s)) : SPAN("");
}

static uint64_t number(const json_t *o, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(o, key));
}

static void print_line(const struct sending *s, const json_t *o)
{
    print_text(stdout, member(o, "domain"), SIZE_MAX);
    if (member(o, "to").n) {
        fputs(" to ", stdout);
        print_text(stdout, member(o, "to"), SIZE_MAX);
    }
    fputs(": ", stdout);
    print_text(stdout, member(o, "outcome"), SIZE_MAX);
    if (json_object_get(o, "bytes"))
        printf(" (%llu rows, %llu good, %llu bad, %llu bytes)",
               (unsigned long long)number(o, "rows"), (unsigned long long)number(o, "good"),
               (unsigned long long)number(o, "bad"), (unsigned long long)number(o, "bytes"));
    putchar('\n');
    (void)s;
}

static void on_line(void *ctx, const char *json)
{
    struct sending *s = ctx;
    json_t *o = json_loads(json, 0, NULL);
    if (json_object_get(o, "done")) {
        s->mails = number(o, "mails");
        s->problems = number(o, "failed") + number(o, "later");
        if (!s->q->json && !s->q->dry)
            printf(
                "%llu reports sent, %llu not wanted by anybody, %llu failed, %llu left for later\n",
                (unsigned long long)number(o, "reports"), (unsigned long long)number(o, "skipped"),
                (unsigned long long)number(o, "failed"), (unsigned long long)number(o, "later"));
    } else {
        s->lines++;
        if (!s->q->json)
            print_line(s, o);
    }
    if (s->q->json)
        fputs(json, stdout); /* with its line end */
    json_decref(o);
}

int reports_send(const struct reports_query *q)
{
    struct sending s = {.q = q};
    struct err e;
    json_t *request = json_pack("{s:s,s:s,s:b,s:b}", "command", "reports", "action",
                                reports_kind_name(q->kind), "dry", q->dry, "again", q->again);
    if (q->day)
        json_object_set_new(request, "day", json_string(q->day));
    if (q->domain)
        json_object_set_new(request, "domain", json_string(q->domain));
    char *text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (!text)
        return cli_usage(q->command, "the day or the domain is not UTF-8");
    int result = cli_control(q->set, text, on_line, &s, &e);
    free(text);
    if (result)
        return failed(q, &e);
    return s.problems || !s.lines ? EXIT_BAD : EXIT_OK;
}

/* --- into files --- */

static int write_file(const char *path, struct span bytes, struct err *e)
{
    FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!f)
        return err_sys(e, "%s", path);
    bool ok = fwrite(bytes.p, 1, bytes.n, f) == bytes.n;
    ok = (f == stdout ? fflush(f) : fclose(f)) == 0 && ok;
    return ok ? 0 : err_sys(e, "%s", path);
}

static int write_one(const struct reports_query *q, struct report_store *s,
                     const struct report_item *item, bool directory, struct err *e)
{
    struct arena *a = arena_new(0);
    struct report_made made;
    int result = report_make(q->set, s, q->kind, item, !directory, a, &made, e);
    if (result == 0 && directory) {
        struct span path = arena_printf(a, "%s/%.*s", q->to, SPAN_ARG(made.name));
        result = write_file(path.p, made.packed, e);
        if (result == 0)
            printf("%s\n", path.p);
    } else if (result == 0) {
        result = write_file(q->to, made.text, e);
    }
    arena_free(a);
    return result;
}

static int write_all(const struct reports_query *q, struct report_store *s, int64_t day,
                     struct err *e, size_t *written)
{
    struct stat st;
    struct arena *a = arena_new(0);
    struct report_item *items;
    size_t n, chosen = 0;
    bool directory = stat(q->to, &st) == 0 && S_ISDIR(st.st_mode);
    int result = report_store_day(s, q->kind, day, a, &items, &n, e);
    for (size_t i = 0; result == 0 && i < n; i++)
        if (!q->domain || span_ieq(items[i].domain, span_str(q->domain)))
            items[chosen++] = items[i];
    if (result == 0 && chosen > 1 && !directory)
        result = err_set(
            e, "there are %zu reports; --domain chooses one, or --to names a directory", chosen);
    for (size_t i = 0; result == 0 && i < chosen; i++)
        result = write_one(q, s, &items[i], directory, e);
    *written = chosen;
    arena_free(a);
    return result;
}

int reports_write(const struct reports_query *q)
{
    int64_t day;
    struct err e;
    size_t written;
    if (!dispatch_day(q->day ? span_str(q->day) : SPAN("yesterday"), clock_wall(), &day))
        return cli_usage(q->command, "a day is written 2026-11-21, yesterday or today");
    struct report_store *s = reports_open(q);
    if (!s)
        return EXIT_TEMPFAIL;
    int result = write_all(q, s, day, &e, &written);
    report_store_close(s);
    if (result)
        return failed(q, &e);
    if (!written)
        fprintf(stderr, "gatehouse %s: there is nothing to report of that day\n", q->command);
    return written ? EXIT_OK : EXIT_BAD;
}

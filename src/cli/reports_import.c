/* Reports of others out of files, into the store; beside a running gateway, or without one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/reports.h"
#include "reports/import.h"
#include "reports/item.h"

enum { FILE_MAX = 64 << 20, PIECE = 65536 };

struct importing {
    const struct reports_query *q;
    const char *file;
    struct buf items;
    struct report_origin origin;
    bool problem;
};

static void on_agg(void *ctx, const struct agg_report *r)
{
    struct importing *im = ctx;
    item_put(&im->items, r, &im->origin);
}

static void on_tls(void *ctx, const struct tls_report *r)
{
    struct importing *im = ctx;
    item_put_tls(&im->items, r, &im->origin);
}

static void on_problem(void *ctx, const char *why)
{
    struct importing *im = ctx;
    im->problem = true;
    fprintf(stderr, "gatehouse %s: %s: ", im->q->command, im->file);
    print_text(stderr, span_str(why), SIZE_MAX);
    fputc('\n', stderr);
}

static void on_told(void *ctx, enum report_stored what, struct span org, struct span id,
                    struct span domain, const struct report_origin *o)
{
    static const char *const words[] = {[REPORT_STORED] = "stored",
                                        [REPORT_DUPLICATE] = "is there already",
                                        [REPORT_NO_ROOM] = "refused (reports.size)"};
    const struct importing *im = ctx;
    (void)o;
    printf("%s: %s: ", im->file, words[what]);
    print_text(stdout, org, SIZE_MAX);
    fputs(" about ", stdout);
    print_text(stdout, domain, SIZE_MAX);
    fputs(", ", stdout);
    print_text(stdout, id, SIZE_MAX);
    putchar('\n');
}

static int read_all(const char *path, struct buf *b, struct err *e)
{
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "can't be read");
    ssize_t n;
    while ((n = read(fd, buf_room(b, PIECE), PIECE)) > 0 && b->n <= FILE_MAX)
        b->n += (size_t)n;
    int result = n < 0 ? err_sys(e, "can't be read") : 0;
    if (b->n > FILE_MAX)
        result = err_set(e, "is larger than %d MiB", FILE_MAX >> 20);
    if (fd != STDIN_FILENO)
        close(fd);
    return result;
}

static int store(struct importing *im, struct report_store *s, struct err *e)
{
    struct items_done done = {.told = on_told, .ctx = im};
    if (report_store_begin(s, e))
        return -1;
    if (items_apply(s, buf_span(&im->items), &done, e) == 0 && report_store_commit(s, e) == 0)
        return 0;
    report_store_rollback(s);
    return -1;
}

static int import_file(struct importing *im, struct report_store *s, struct err *e)
{
    struct buf bytes = {0};
    struct err why;
    struct import reader = {.agg = on_agg, .tls = on_tls, .problem = on_problem, .ctx = im};
    buf_clear(&im->items);
    /* Who has the file in hand knows where it comes from. */
    im->origin = (struct report_origin){clock_wall(), SPAN("file"), true};
    if (read_all(im->file, &bytes, &why) != 0) {
        on_problem(im, why.text);
        buf_free(&bytes);
        return 0;
    }
    import_bytes(&reader, buf_span(&bytes));
    buf_free(&bytes);
    if (!reader.reports && !reader.problems)
        on_problem(im, "there is no report in it");
    return im->items.n ? store(im, s, e) : 0;
}

/* A store that root begins must not be closed to the gateway. */
static void make_file(const char *state)
{
    struct stat st;
    char *path = xasprintf("%s/reports.db", state);
    if (geteuid() == 0 && stat(state, &st) == 0) {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (fd >= 0 && fchown(fd, st.st_uid, st.st_gid) != 0)
            fprintf(stderr, "gatehouse: %s stays root's\n", path);
        if (fd >= 0)
            close(fd);
    }
    free(path);
}

int reports_import(const struct reports_query *q)
{
    struct importing im = {.q = q};
    struct err e;
    make_file(q->set->paths.state);
    struct report_store *s = report_store_open(q->set->paths.state, &e);
    int result = s ? 0 : -1;
    if (s)
        report_store_limit(s, q->set->reports.size);
    for (char **file = q->files; result == 0 && *file; file++) {
        im.file = *file;
        result = import_file(&im, s, &e);
    }
    report_store_close(s);
    buf_free(&im.items);
    if (result)
        fprintf(stderr, "gatehouse %s: %s%s\n", q->command, e.text, cli_remedy(&e));
    return result ? EXIT_TEMPFAIL : im.problem ? EXIT_BAD : EXIT_OK;
}

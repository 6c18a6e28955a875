#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "virus/engine_private.h"

/* Limits of one scan, against archives built to cost time. As clamd's defaults, except that the
 * size of what is unpacked follows virus.max_size. */
enum { RECURSION_MAX = 17, FILES_MAX = 10000 };

static int limits(const struct clam *c, struct cl_engine *engine, const struct virus_settings *s,
                  struct err *e)
{
    const struct {
        enum cl_engine_field field;
        long long value;
    } all[] = {
        {CL_ENGINE_MAX_FILESIZE, (long long)s->max_size},
        {CL_ENGINE_MAX_SCANSIZE, (long long)s->max_size * 4},
        {CL_ENGINE_MAX_SCANTIME, s->scan_timeout / 1000},
        {CL_ENGINE_MAX_RECURSION, RECURSION_MAX},
        {CL_ENGINE_MAX_FILES, FILES_MAX},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        cl_error_t code = c->engine_set_num(engine, all[i].field, all[i].value);
        if (code != CL_SUCCESS)
            return err_set(e, "libclamav: limit %zu: %s", i, c->error_text(code));
    }
    return 0;
}

static unsigned daily_version(const struct clam *c, const char *directory)
{
    static const char *const files[] = {"daily.cld", "daily.cvd"};
    unsigned version = 0;
    for (size_t i = 0; i < 2; i++) {
        char *path = xasprintf("%s/%s", directory, files[i]);
        struct cl_cvd *head = c->cvdhead(path);
        if (head && head->version > version)
            version = head->version;
        if (head)
            c->cvdfree(head);
        free(path);
    }
    return version;
}

struct signatures *signatures_load(const struct clam *c, const struct virus_settings *s,
                                   struct err *e)
{
    struct signatures *x = xcalloc(1, sizeof *x);
    x->engine = c->engine_new();
    x->version = daily_version(c, s->database);
    cl_error_t code = x->engine ? CL_SUCCESS : CL_EMEM;
    if (code == CL_SUCCESS && limits(c, x->engine, s, e)) {
        signatures_free(c, x);
        return NULL;
    }
    if (code == CL_SUCCESS)
        code = c->load(s->database, x->engine, &x->count, CL_DB_STDOPT);
    if (code == CL_SUCCESS)
        code = c->engine_compile(x->engine);
    if (code == CL_SUCCESS && x->count > 0)
        return x;
    err_set(e, "%s: %s", s->database, code == CL_SUCCESS ? "no signatures" : c->error_text(code));
    signatures_free(c, x);
    return NULL;
}

void signatures_free(const struct clam *c, struct signatures *s)
{
    if (s->engine)
        c->engine_free(s->engine);
    free(s);
}

#include <dlfcn.h>

#include "virus/engine_private.h"

/* The ABI of the headers we are built with, then the one before: what we use is the same in both.
 */
static const char *const names[] = {"libclamav.so.12", "libclamav.so.11"};

void clam_close(struct clam *c)
{
    if (c->handle)
        dlclose(c->handle);
    c->handle = NULL;
}

int clam_open(struct clam *c, struct err *e)
{
    *c = (struct clam){0};
    for (size_t i = 0; i < sizeof names / sizeof *names && !c->handle; i++)
        c->handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!c->handle)
        return err_set(e, "no libclamav: %s", dlerror());
    const struct {
        const char *name;
        void *slot;
    } symbols[] = {
        {"cl_init", &c->init},
        {"cl_engine_new", &c->engine_new},
        {"cl_engine_set_num", &c->engine_set_num},
        {"cl_engine_compile", &c->engine_compile},
        {"cl_engine_free", &c->engine_free},
        {"cl_load", &c->load},
        {"cl_scandesc", &c->scandesc},
        {"cl_statinidir", &c->statinidir},
        {"cl_statchkdir", &c->statchkdir},
        {"cl_statfree", &c->statfree},
        {"cl_cvdhead", &c->cvdhead},
        {"cl_cvdfree", &c->cvdfree},
        {"cl_retver", &c->retver},
        {"cl_strerror", &c->error_text},
    };
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *f = dlsym(c->handle, symbols[i].name);
        if (!f) {
            clam_close(c);
            return err_set(e, "libclamav has no %s", symbols[i].name);
        }
        memcpy(symbols[i].slot, &f, sizeof f);
    }
    return 0;
}

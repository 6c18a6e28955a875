#include "cli/check_maps.h"

#include "smtp/textmap.h"

void check_maps(const struct settings *s, void (*report)(void *ctx, const char *text), void *ctx)
{
    const char *const paths[] = {s->access_file, s->relay.domains_file, s->recipients.file,
                                 s->routes.file};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const struct textmap_rules rules = {.report = report, .ctx = ctx};
        if (paths[i])
            textmap_free(textmap_open(paths[i], &rules));
    }
}

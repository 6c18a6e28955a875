#include "cli/check_maps.h"

#include "deliver/route.h"
#include "door/access.h"
#include "door/domains.h"
#include "door/recipients.h"

void check_maps(const struct settings *s, void (*report)(void *ctx, const char *text), void *ctx)
{
    const struct {
        const char *path;
        textmap_check *line;
    } maps[] = {
        {s->access_file, access_line},
        {s->relay.domains_file, domains_line},
        {s->recipients.file, recipients_line},
        {s->routes.file, routes_line},
    };
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        const struct textmap_rules rules = {maps[i].line, report, ctx};
        if (maps[i].path)
            textmap_free(textmap_open(maps[i].path, &rules));
    }
}

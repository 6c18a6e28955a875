#include "cli/check_maps.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "deliver/route.h"
#include "door/access.h"
#include "policy/domains.h"
#include "door/recipients.h"
#include "door/users.h"

/* A line that is no entry leaves a user without login, so it is told as well. */
static void check_users(const char *path, void (*report)(void *ctx, const char *text), void *ctx)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    unsigned number = 0;
    FILE *in = fopen(path, "re");
    while (in && (n = getline(&line, &cap, in)) > 0) {
        struct err why;
        number++;
        if (users_line(span_of(line, (size_t)n), &why) == 0)
            continue;
        char *text = xasprintf("%s:%u: %s", path, number, why.text);
        report(ctx, text);
        free(text);
    }
    if (in)
        fclose(in);
    free(line);
}

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
    if (s->auth.users_file)
        check_users(s->auth.users_file, report, ctx);
}

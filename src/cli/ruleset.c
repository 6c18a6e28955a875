#include "rules/ruleset.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

static bool usable(const char *dir)
{
    struct stat st;
    return stat(dir, &st) == 0 && S_ISDIR(st.st_mode) && access(dir, R_OK | W_OK | X_OK) == 0;
}

/* $XDG_CACHE_HOME/gatehouse or ~/.cache/gatehouse, made when it is missing; NULL when there is
 * none. */
static const char *own_cache(const struct settings *s)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const char *base = cache && cache[0] == '/' ? arena_strdup(s->arena, cache)
                       : home && home[0] == '/' ? arena_printf(s->arena, "%s/.cache", home).p
                                                : NULL;
    if (!base || (mkdir(base, 0700) != 0 && errno != EEXIST))
        return NULL;
    const char *dir = arena_printf(s->arena, "%s/gatehouse", base).p;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return NULL;
    return usable(dir) ? dir : NULL;
}

struct ruleset *cli_ruleset(const struct settings *s, bool local_only, bool check, struct err *e)
{
    const struct ruleset_options o = {
        .settings = &s->rules,
        .cache_dir = usable(s->paths.cache) ? s->paths.cache : own_cache(s),
        .local_only = local_only,
        .check = check,
    };
    return ruleset_load(&o, e);
}

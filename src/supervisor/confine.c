#include "supervisor/confine.h"

#include <sys/prctl.h>

int confine(enum role role, const struct settings *set, const struct ruleset *rules,
            struct confinement *out, struct err *e)
{
    *out = (struct confinement){0};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_sys(e, "privileges could be won back");
    if (confine_files(role, set, rules, &out->landlock, e) != 0)
        return -1;
    return confine_calls(role, &out->seccomp, e);
}

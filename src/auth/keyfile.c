#include "auth/keyfile.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

FILE *keyfile_open(const char *path, struct err *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        err_sys(e, "can't open %s", path);
        return NULL;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > KEYFILE_MAX)
        err_set(e, "%s is no key file", path);
    else if (st.st_mode & (S_IRWXO | S_IWGRP))
        err_set(e, "%s may be read by others or written by its group; chmod 600 it", path);
    else
        return fdopen(fd, "re");
    close(fd);
    return NULL;
}

int secrets_read(const char *path, struct arena *a, struct secrets *out, struct err *e)
{
    char line[SECRET_LENGTH_MAX + 2];
    FILE *f = keyfile_open(path, e);
    int rc = 0;
    *out = (struct secrets){arena_array(a, SECRETS_MAX, sizeof *out->v), 0};
    if (!f)
        return -1;
    while (rc == 0 && fgets(line, sizeof line, f)) {
        struct span s = span_trim(span_str(line));
        if (s.n == 0 || s.p[0] == '#')
            continue;
        if (s.n < SECRET_LENGTH_MIN || strlen(line) > SECRET_LENGTH_MAX)
            rc =
                err_set(e, "%s: a secret has %d to %d characters; 'openssl rand -hex 32' makes one",
                        path, SECRET_LENGTH_MIN, SECRET_LENGTH_MAX);
        else if (out->n == SECRETS_MAX)
            rc = err_set(e, "%s holds more than %d secrets", path, SECRETS_MAX);
        else
            out->v[out->n++] = arena_cstr(a, s);
    }
    fclose(f);
    if (rc == 0 && out->n == 0)
        rc = err_set(e, "%s holds no secret; 'openssl rand -hex 32' makes one", path);
    return rc == 0 ? (int)out->n : -1;
}

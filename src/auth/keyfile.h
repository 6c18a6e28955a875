/* Files with secrets: read before privileges are dropped, refused when others may read them. */
#ifndef GATEHOUSE_AUTH_KEYFILE_H
#define GATEHOUSE_AUTH_KEYFILE_H

#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"

enum {
    KEYFILE_MAX = 65536, /* bytes */
    SECRETS_MAX = 8,     /* of one file */
    SECRET_LENGTH_MIN = 16,
    SECRET_LENGTH_MAX = 512
};

/* NULL with e: it can't be opened, is no file, is too large, or others may read or write it. */
FILE *keyfile_open(const char *path, struct err *e);

struct secrets {
    const char **v;
    size_t n;
};
/* One secret a line; lines that are empty or begin with '#' are passed over. The first one makes,
 * all verify, so a new one is put on top. How many, or -1 with e. */
int secrets_read(const char *path, struct arena *a, struct secrets *out, struct err *e);

#endif

/* One request to the running gateway. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"

static int dial(const struct settings *set, struct err *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path, sizeof a.sun_path, "%s/control.sock", set->paths.run);
    if (n < 0 || (size_t)n >= sizeof a.sun_path)
        return err_set(e, "the path of the control socket is too long");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(e, "can't make a socket");
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    err_sys(e, "can't reach the gateway at %s", a.sun_path);
    close(fd);
    return -1;
}

static int ask(FILE *f, const char *request, struct err *e)
{
    if (fputs(request, f) < 0 || fputc('\n', f) < 0 || fflush(f) != 0)
        return err_sys(e, "can't send the request");
    return 0;
}

/* 1: the last line; 0: go on; -1: it failed. */
static int read_line(char *text, void (*line)(void *ctx, const char *json), void *ctx,
                     struct err *e)
{
    json_t *o = json_loads(text, 0, NULL);
    json_t *error = json_object_get(o, "error");
    int result = 0;
    if (!o) {
        result = err_set(e, "the gateway's answer is not JSON");
    } else if (error) {
        result = err_set(e, "%s", json_is_string(error) ? json_string_value(error) : "refused");
    } else if (json_is_true(json_object_get(o, "done"))) {
        result = 1;
        if (line && json_object_size(o) > 1)
            line(ctx, text);
    } else if (line) {
        line(ctx, text);
    }
    json_decref(o);
    return result;
}

int cli_control(const struct settings *set, const char *request_json,
                void (*line)(void *ctx, const char *json), void *ctx, struct err *e)
{
    int fd = dial(set, e);
    if (fd < 0)
        return -1;
    FILE *f = fdopen(fd, "r+");
    if (!f) {
        close(fd);
        return err_sys(e, "can't reach the gateway");
    }
    int result = ask(f, request_json, e);
    char *text = NULL;
    size_t size = 0;
    while (result == 0 && getline(&text, &size, f) > 0)
        result = read_line(text, line, ctx, e);
    if (result == 0)
        result = err_set(e, "the gateway's answer ended early");
    free(text);
    fclose(f);
    return result > 0 ? 0 : -1;
}

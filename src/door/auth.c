/* AUTH: passwords from a file of our own (checked on libuv's worker threads, since a good hash is
 * slow on purpose), or from Dovecot over its auth-client socket. */
#include "door/door_private.h"

#include <crypt.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "door/dovecot.h"
#include "door/users.h"

struct authenticator {
    struct door *door;
    const struct auth_settings *set;
    struct dovecot *dovecot; /* or NULL: the users file */
};

/* One password on its way. */
struct auth_try {
    uv_work_t work;
    struct conn *conn; /* NULL: the session is gone */
    const char *file;
    char user[SASL_USER_MAX + 1];
    char password[SASL_PASSWORD_MAX + 1];
    size_t password_n;
    enum users_answer answer;
};

struct authenticator *auth_open(struct door *d)
{
    const struct auth_settings *set = &d->set->auth;
    if (!set->users_file && !set->dovecot_socket)
        return NULL;
    struct authenticator *a = xcalloc(1, sizeof *a);
    a->door = d;
    a->set = set;
    if (sodium_init() < 0)
        abort();
    if (set->dovecot_socket)
        a->dovecot = dovecot_open(&d->loop, set->dovecot_socket);
    return a;
}

void auth_close(struct authenticator *a)
{
    if (!a)
        return;
    if (a->dovecot)
        dovecot_close(a->dovecot);
    free(a);
}

static void finish(struct auth_try *t)
{
    struct conn *c = t->conn;
    if (c) {
        enum reply_id id = t->answer == USERS_YES  ? R_AUTH_OK
                           : t->answer == USERS_NO ? R_AUTH_BAD
                                                   : R_AUTH_LATER;
        c->auth_try = NULL;
        log_event(id == R_AUTH_OK ? LOG_NOTE : LOG_WARN, c->id, "auth", F_STR("user", t->user),
                  F_STR("result", id == R_AUTH_OK    ? "ok"
                                  : id == R_AUTH_BAD ? "wrong"
                                                     : "unavailable"));
        if (id == R_AUTH_OK) {
            free(c->user);
            c->user = xstrdup(t->user);
        }
        smtp_answer(&c->smtp, id, NULL);
        conn_go_on(c);
    }
    sodium_memzero(t, sizeof *t);
    free(t);
}

static void check(uv_work_t *work)
{
    struct auth_try *t = work->data;
    t->answer = users_check(t->file, t->user, t->password, t->password_n);
}

static void checked(uv_work_t *work, int status)
{
    struct auth_try *t = work->data;
    if (status != 0)
        t->answer = USERS_TROUBLE;
    finish(t);
}

static void dovecot_answered(void *ctx, enum users_answer answer)
{
    struct auth_try *t = ctx;
    t->answer = answer;
    finish(t);
}

void auth_check(struct conn *c, const char *user, const char *password, size_t n)
{
    struct authenticator *a = c->door->auth;
    struct auth_try *t = xcalloc(1, sizeof *t);
    t->conn = c;
    c->auth_try = t;
    snprintf(t->user, sizeof t->user, "%s", user);
    memcpy(t->password, password, n);
    t->password_n = n;
    t->work.data = t;
    t->file = a->set->users_file;
    if (a->dovecot) {
        struct dovecot_request r = {.user = t->user,
                                    .password = t->password,
                                    .secured = c->smtp.secure,
                                    .ip = c->has_ip ? &c->ip : NULL};
        dovecot_check(a->dovecot, &r, dovecot_answered, t);
    } else if (uv_queue_work(&c->door->loop, &t->work, check, checked) != 0) {
        t->answer = USERS_TROUBLE;
        finish(t);
    }
}

void auth_forget(struct conn *c)
{
    struct auth_try *t = c->auth_try;
    if (t)
        t->conn = NULL;
    c->auth_try = NULL;
}

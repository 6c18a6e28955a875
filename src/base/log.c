#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"

/* The one process-wide thing in base: where this process writes its log. */
static struct {
    enum { TO_STDERR, TO_SYSLOG, TO_JOURNAL, TO_FILE } target;
    enum log_form form;
    enum log_level level;
    const char *role;
    char *path;
    int fd;
} out = {TO_STDERR, LOG_TEXT, LOG_NOTE, "gatehouse", NULL, STDERR_FILENO};

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const int syslog_levels[] = {3, 4, 6, 7};

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

int log_open(const char *target, enum log_form form, enum log_level level)
{
    out.form = form;
    out.level = level;
    if (!target || strcmp(target, "stderr") == 0) {
        out.target = TO_STDERR;
    } else if (strcmp(target, "syslog") == 0) {
        out.target = TO_SYSLOG;
        openlog("gatehouse", LOG_PID, LOG_MAIL);
    } else if (strcmp(target, "journald") == 0) {
        out.target = TO_JOURNAL;
    } else {
        int fd = open_file(target);
        if (fd < 0)
            return -1;
        out.target = TO_FILE;
        out.fd = fd;
        free(out.path);
        out.path = strdup(target);
    }
    return 0;
}

void log_role(const char *role)
{
    out.role = role;
}

void log_close(void)
{
    if (out.target == TO_SYSLOG)
        closelog();
    if (out.target == TO_FILE)
        close(out.fd);
    out.target = TO_STDERR;
}

void log_reopen(void)
{
    if (out.target != TO_FILE || !out.path)
        return;
    int fd = open_file(out.path);
    if (fd < 0)
        return;
    dup3(fd, out.fd, O_CLOEXEC);
    close(fd);
}

static bool plain(struct span s)
{
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
            return false;
    }
    return true;
}

static void value_text(struct buf *b, const struct log_field *f)
{
    if (f->type == LOG_F_INT)
        buf_printf(b, "%lld", f->integer);
    else if (f->type == LOG_F_NUM)
        buf_printf(b, "%.6g", f->number);
    else if (out.form == LOG_TEXT && plain(f->str))
        buf_add(b, f->str);
    else
        json_quoted(b, f->str);
}

static void render_text(struct buf *b, const char *id, const char *event, const struct log_field *f)
{
    buf_printf(b, "%s %s %s", out.role, id ? id : "-", event);
    for (; f->key; f++) {
        buf_printf(b, " %s=", f->key);
        value_text(b, f);
    }
}

static void render_json(struct buf *b, enum log_level level, const char *id, const char *event,
                        const struct log_field *f)
{
    char when[CLOCK_ISO_SIZE];
    buf_printf(b,
               "{\"time\":\"%s\",\"level\":\"%s\",\"role\":\"%s\",\"id\":\"%s\",\"event\":\"%s\"",
               clock_iso(clock_wall(), when), level_names[level], out.role, id ? id : "", event);
    for (; f->key; f++) {
        buf_printf(b, ",\"%s\":", f->key);
        value_text(b, f);
    }
    buf_char(b, '}');
}

void log_record(enum log_level level, const char *id, const char *event,
                const struct log_field *fields)
{
    if (level > out.level)
        return;
    int saved = errno;
    struct buf b = {0};
    if (out.form == LOG_JSON) {
        render_json(&b, level, id, event, fields);
    } else {
        if (out.target == TO_FILE || out.target == TO_STDERR) {
            char when[CLOCK_ISO_SIZE];
            buf_printf(&b, "%s %s ", clock_iso(clock_wall(), when), level_names[level]);
        }
        if (out.target == TO_JOURNAL) /* sd-daemon(3): the level as prefix on stderr */
            buf_printf(&b, "<%d>", syslog_levels[level]);
        render_text(&b, id, event, fields);
    }
    if (out.target == TO_SYSLOG) {
        syslog(syslog_levels[level], "%s", b.p);
    } else {
        buf_char(&b, '\n');
        ssize_t n = write(out.target == TO_FILE ? out.fd : STDERR_FILENO, b.p, b.n);
        (void)n; /* a log that can't be written must not stop mail */
    }
    buf_free(&b);
    errno = saved;
}

/* Errors are values with text.
 *
 * A function that can fail for a reason worth telling returns 0 or -1 (or a pointer or NULL) and
 * fills the caller's struct err. The text is one sentence fragment that names the place and, where
 * there is one, the remedy: "/etc/gatehouse/gatehouse.yaml:12:7: unknown setting 'listner' (did you
 * mean 'listeners'?)". No trailing newline or dot. */
#ifndef GATEHOUSE_BASE_ERR_H
#define GATEHOUSE_BASE_ERR_H

#include <stdarg.h>

/* Exit codes of every command (sysexits.h). */
enum exit_code {
    EXIT_OK = 0,       /* fine, nothing bad found */
    EXIT_BAD = 1,      /* scan: spam or infected; check, doctor: a problem */
    EXIT_USAGE = 64,   /* wrong arguments */
    EXIT_NOINPUT = 66, /* a file can't be read */
    EXIT_TEMPFAIL = 75,
    EXIT_CONFIG = 78
};

struct err {
    int sys; /* errno, or 0 */
    char text[1024];
};

/* Both return -1, so that `return err_set(e, "...")` reads well. e may be NULL. */
int err_set(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As err_set, then ": " and the text of errno. */
int err_sys(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "text: " in front of what is there. Returns -1. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

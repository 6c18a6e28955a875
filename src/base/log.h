/* One record per event: id first, then key=value.
 *
 *     2026-11-22T07:30:00.123Z info door 3K7F0Q2M8TZC delivered to="bob@example.org" size=4711
 *
 * Where it goes and how it looks is decided once at start (log_open); a record is one write.
 * Control characters and quotes in values are escaped, so a stranger can't forge a line; what is
 * not UTF-8 becomes U+FFFD. Never log message content. Not thread-safe to open, thread-safe to
 * write. */
#ifndef GATEHOUSE_BASE_LOG_H
#define GATEHOUSE_BASE_LOG_H

#include "base/span.h"

enum log_level { LOG_FAULT, LOG_WARN, LOG_NOTE, LOG_TRACE };
enum log_form { LOG_TEXT, LOG_JSON };

struct log_field {
    const char *key; /* NULL ends the list */
    enum { LOG_F_STR, LOG_F_INT, LOG_F_NUM } type;
    struct span str;
    long long integer;
    double number;
};

#define F_STR(k, v)  ((struct log_field){.key = (k), .type = LOG_F_STR, .str = span_str(v)})
#define F_SPAN(k, v) ((struct log_field){.key = (k), .type = LOG_F_STR, .str = (v)})
#define F_INT(k, v)  ((struct log_field){.key = (k), .type = LOG_F_INT, .integer = (long long)(v)})
#define F_NUM(k, v)  ((struct log_field){.key = (k), .type = LOG_F_NUM, .number = (v)})

/* target: "stderr", "syslog", "journald" or the path of a file. role names the process ("door").
 * Returns 0, or -1 with errno set when the file can't be opened (then it goes to stderr). */
int log_open(const char *target, enum log_form form, enum log_level level);
void log_role(const char *role);
/* Gives the descriptor back; records go to stderr until the next log_open. For a forked process
 * that closes what it inherited. */
void log_close(void);
/* Opens the file anew (after rotation). */
void log_reopen(void);

/* log_event(LOG_NOTE, id, "delivered", F_STR("to", rcpt), F_INT("size", n));
 * id: the message or session id, or NULL. event: one word. */
#define log_event(level, id, event, ...)                                                           \
    log_record((level), (id), (event), (const struct log_field[]){__VA_ARGS__, {.key = NULL}})
void log_record(enum log_level level, const char *id, const char *event,
                const struct log_field *fields);

#endif

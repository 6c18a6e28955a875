/* The commands. One file per command, one row in cli/table.c; main.c picks by name. */
#ifndef GATEHOUSE_CLI_CLI_H
#define GATEHOUSE_CLI_CLI_H

#include "config/settings.h"

struct command {
    const char *name;
    const char *summary;               /* one line of `gatehouse --help` */
    const char *help;                  /* all of `gatehouse NAME --help`, with an example */
    int (*run)(int argc, char **argv); /* argv[0] is "gatehouse NAME"; returns an exit code */
};

extern const struct command commands[]; /* ends with a NULL name */

/* Common helpers. */
/* The settings file: the one given, else /etc/gatehouse/gatehouse.yaml when it exists, else NULL
 * (the built-in defaults). */
const char *cli_settings_file(const char *given);
/* The settings of cli_settings_file(file). On error prints all of them and returns NULL (exit
 * EXIT_CONFIG). */
struct settings *cli_settings(const char *file);
/* "gatehouse NAME: text" and a hint to --help on stderr; returns EXIT_USAGE. */
int cli_usage(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The hint alone, after getopt_long has said what is wrong; returns EXIT_USAGE. */
int cli_wrong_option(const char *name);
/* What may help against an error with the gateway's files or its socket: " (...)", or "". */
const char *cli_remedy(const struct err *e);

/* The rules of the settings, compiled patterns kept in paths.cache, or in the user's own cache
 * directory where that one can't be written. check: every pattern is tried, so that
 * ruleset_problems is complete. NULL with the reason in e. */
struct ruleset;
struct ruleset *cli_ruleset(const struct settings *s, bool local_only, bool check, struct err *e);
/* Where the engine of the running gateway listens ("unix:/run/gatehouse/virus.sock"), in the
 * settings' arena, or NULL. */
const char *cli_virus_socket(const struct settings *s);

/* One request to the running spool process over its control socket (JSON a line each way; what
 * there is to ask: spool/control.c; the reply is a stream of JSON lines, the last one
 * {"done":true,...} or
 * {"error":"..."}). Returns 0, -1 with e (e->sys == ENOENT or ECONNREFUSED when no gateway runs).
 * line (may be NULL): called for each reply line, for the last one only when it says more than
 * done. */
int cli_control(const struct settings *set, const char *request_json,
                void (*line)(void *ctx, const char *json), void *ctx, struct err *e);

int cmd_serve(int argc, char **argv);
int cmd_scan(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_rules(int argc, char **argv);
int cmd_queue(int argc, char **argv);
int cmd_quarantine(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_wall(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_learn(int argc, char **argv);
int cmd_dkim(int argc, char **argv);
int cmd_dmarc(int argc, char **argv);
int cmd_tlsrpt(int argc, char **argv);

/* Help texts that stand beside their command. */
extern const char cmd_dkim_help[], cmd_dmarc_help[], cmd_tlsrpt_help[], cmd_wall_help[],
    cmd_log_help[], cmd_quarantine_help[], cmd_queue_help[], cmd_report_help[], cmd_learn_help[];

#endif

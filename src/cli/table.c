#include "cli/cli.h"

static const char serve_help[] =
    "usage: gatehouse serve [-c FILE]\n"
    "\n"
    "The gateway, in the foreground. Settings come from FILE, else from\n"
    "/etc/gatehouse/gatehouse.yaml, else from the built-in defaults, which listen on loopback "
    "only.\n"
    "SIGHUP reads settings and rules again without losing a session; SIGTERM finishes what is in "
    "work\n"
    "and ends.\n"
    "\n"
    "example: gatehouse serve -c etc/gatehouse.dev.yaml\n";

static const char scan_help[] =
    "usage: gatehouse scan [options] PATH...|-\n"
    "\n"
    "Judges files, directories, mailboxes and Maildirs as the gateway would; - is standard input.\n"
    "\n"
    "  -c, --config FILE   settings\n"
    "  --format FORM       text (a report), json (one object a line), tsv (file, score, rules,\n"
    "                      sub-rules), message (the message with the edits applied)\n"
    "  --json              the same as --format json\n"
    "  --local             ask no virus engine, run no network tests\n"
    "  -j, --jobs N        worker processes (default: one for each core); the output keeps the "
    "order\n"
    "  --rules DIR         rules from DIR instead of the installed ones; may be repeated\n"
    "  --type TYPE         auto, message or mbox: what files are (default: auto)\n"
    "  --filter            one message in, the same with its marks out; for procmail, maildrop "
    "and\n"
    "                      other pipes: exit code 0, or 75 and no output when it cannot be judged\n"
    "  --policy FILE       the policies of this settings file, or this script (*.lua)\n"
    "  --explain           instead: which policy holds at which stage, why, and what is done\n"
    "  --stats             afterwards, how many and how fast, on standard error\n"
    "  --stats=rules       and where the time went: by stage, and the dearest rules\n"
    "\n"
    "  --user NAME         with the preferences of NAME, wherever the settings say they are\n"
    "  --prefs FILE        with those in FILE (as SpamAssassin's user_prefs)\n"
    "\n"
    "The envelope, where the file does not tell it:\n"
    "  --client-ip ADDRESS --client-name NAME --helo NAME --from ADDRESS --to ADDRESS...\n"
    "\n"
    "exit status: 0 nothing bad, 1 spam or a virus, 64 usage, 66 something can't be read,\n"
    "75 a message ended its worker, 78 settings or rules can't be used\n"
    "\n"
    "example: gatehouse scan --local --json ~/Maildir\n"
    "         gatehouse scan --local --policy new.yaml --explain --from a@b.example \\\n"
    "             --to postmaster@example.org suspicious.eml\n";

static const char check_help[] =
    "usage: gatehouse check [-c FILE] [--settings] [--cost [PATH...]] [--json]\n"
    "       gatehouse check --print-defaults\n"
    "\n"
    "Reads settings, the files that they name, and the rules, and prints each line that would be\n"
    "refused or ignored, with its place. Exit status 1 when there is any.\n"
    "\n"
    "  --settings          settings and their files, not the rules\n"
    "  --cost [PATH...]    and what rules cost, the dearest first, with their places: measured on "
    "the\n"
    "                      messages of PATH, else estimated from the patterns\n"
    "  --print-defaults    a settings file with every setting, its default and one sentence\n"
    "\n"
    "example: gatehouse check && systemctl reload gatehouse\n"
    "         gatehouse check --cost ~/Maildir\n";

static const char rules_help[] =
    "usage: gatehouse rules [-c FILE] [--rules DIR]... [--json] list|coverage\n"
    "       gatehouse rules [-c FILE] [--rules DIR]... [--json] explain NAME...\n"
    "\n"
    "list: every rule in force. coverage: rules read, usable, and ignored by cause. explain: what\n"
    "a rule tests, where it is written, what it scores, what refers to it.\n"
    "\n"
    "example: gatehouse rules explain GTUBE\n";

const struct command commands[] = {
    {"serve", "the gateway, in the foreground", serve_help, cmd_serve},
    {"scan", "judge files, directories, mailboxes", scan_help, cmd_scan},
    {"check", "what is wrong with settings, maps and rules", check_help, cmd_check},
    {"rules", "list and explain rules", rules_help, cmd_rules},
    {"queue", "mail on its way: list, retry, hold, release, delete", cmd_queue_help, cmd_queue},
    {"quarantine", "held mail: list, show, release, delete", cmd_quarantine_help, cmd_quarantine},
    {"dkim", "keys that sign our mail: make, rotate, check in the DNS", cmd_dkim_help, cmd_dkim},
    {"dmarc", "reports about mail from domains: send, read, show", cmd_dmarc_help, cmd_dmarc},
    {"tlsrpt", "reports about TLS between mail servers", cmd_tlsrpt_help, cmd_tlsrpt},
    {"log", "what happened to which message", cmd_log_help, cmd_log},
    {"wall", "what the first wall remembers about clients and users", cmd_wall_help, cmd_wall},
    {"learn", "teach Bayes what is spam and what is not", cmd_learn_help, cmd_learn},
    {"report", "tell Pyzor, Razor, DCC or SpamCop that messages are spam", cmd_report_help,
     cmd_report},
    {0},
};

#include "config/rows_private.h"
#include "config/script.h"

static const char *const outcome_names[] = {"accept", "tag",   "clean",   "hold",
                                            "reject", "defer", "discard", NULL};
static const char *const header_names[] = {"spamassassin", "mimedefang", "none", NULL};
static const char *const direction_names[] = {"inbound", "outbound", "internal", NULL};
static const char *const on_fail_names[] = {"defer", "hold", "pass", NULL};
static const char *const whether_names[] = {"any", "false", "true", NULL};
static const char *const spf_names[] = {"none",     "neutral",   "pass",      "fail",
                                        "softfail", "temperror", "permerror", NULL};
static const char *const dkim_names[] = {"none",    "pass",      "fail",      "policy",
                                         "neutral", "temperror", "permerror", NULL};
static const char *const dmarc_names[] = {"none", "pass", "fail", "temperror", "permerror", NULL};
static const char *const arc_names[] = {"none", "pass", "fail", NULL};

#define T struct part_test
static const struct setting part_rows[] = {
    PATS_(T, name, .def = "",
          .help = "File names: each that a mail program could show is looked at."),
    PATS_(T, type, .def = "", .help = "Declared types, such as 'application/zip' or 'video/*'."),
    PATS_(T, content, .def = "",
          .help = "Types that the bytes themselves tell, such as 'application/x-dosexec'."),
    PATS_(T, members, .def = "",
          .help = "Names of files in an archive (zip, rar, 7z, tar, tar.gz), one of which is such; "
                  "archives in archives are not opened."),
    SIZES_(T, size, .def_note = "any size", .help = "Size of the decoded part."),
    ENUM_(T, whether, encrypted, .choices = whether_names, .def = "any",
          .help = "Encrypted archives, PDFs, office files and mail."),
};
static const struct setting_table part_table = {"setting", part_rows, COUNT(part_rows)};

#define A struct auth_test
static const struct setting auth_rows[] = {
    STRS_(A, spf, .choices = spf_names, .def = "", .help = "Results of SPF."),
    STRS_(A, dkim, .choices = dkim_names, .def = "",
          .help = "Results of DKIM; pass when any signature passes."),
    STRS_(A, dmarc, .choices = dmarc_names, .def = "", .help = "Results of DMARC."),
    STRS_(A, arc, .choices = arc_names, .def = "", .help = "Results of ARC."),
    PATS_(A, dkim_domain, .def = "",
          .help = "Domains one of which must have signed with a signature that passes."),
};
static const struct setting_table auth_table = {"setting", auth_rows, COUNT(auth_rows)};

#define C struct policy_action
static const struct setting disclaimer_rows[] = {
    TEXT_(C, text, .help = "Appended to the text."),
    TEXT_(C, html, .def_note = "made from the text", .help = "Put at the end of the HTML."),
};
static const struct setting_table disclaimer_table = {"setting", disclaimer_rows,
                                                      COUNT(disclaimer_rows)};
static const struct setting notice_rows[] = {
    PATS_(C, to, .def = "", .help = "Addresses; 'sender' and 'recipients' mean those."),
    STR_(C, subject, .def_note = "one that tells the policy's name", .help = "Its subject."),
    TEXT_(C, text, .def_note = "one that tells what was done", .help = "Its text."),
};
static const struct setting_table notice_table = {"setting", notice_rows, COUNT(notice_rows)};

const struct action_row action_table[ACTION_KINDS] = {
    [ACTION_ACCEPT] = {"accept", TAKES_NOTHING, .help = "Deliver, whatever the spam score is."},
    [ACTION_TAG] = {"tag", TAKES_NOTHING, .help = "Deliver, marked as spam."},
    [ACTION_HOLD] = {"hold", TAKES_TEXT, "policy", .help = "Keep in the quarantine."},
    [ACTION_REJECT] = {"reject", TAKES_REPLY, "550 5.7.1 Refused by policy",
                       .help = "Refuse with this reply."},
    [ACTION_DEFER] = {"defer", TAKES_REPLY, "451 4.7.1 Please try again later",
                      .help = "Ask the sender to try again later."},
    [ACTION_DISCARD] = {"discard", TAKES_NOTHING, .help = "Say yes and drop it."},
    [ACTION_ADD_HEADER] = {"add_header", TAKES_FIELDS, .help = "Put fields on top of the header."},
    [ACTION_CHANGE_HEADER] = {"change_header", TAKES_FIELDS,
                              .help = "Give fields a new value; add those that are missing."},
    [ACTION_DELETE_HEADER] = {"delete_header", TAKES_NAMES,
                              .help = "Delete every instance of the fields."},
    [ACTION_SUBJECT_PREFIX] = {"subject_prefix", TAKES_TEXT,
                               .help = "Put a text in front of the subject."},
    [ACTION_DROP_PART] = {"drop_part", TAKES_NOTHING, .help = "Take the parts out."},
    [ACTION_REPLACE_PART] = {"replace_part", TAKES_TEXT,
                             "The attachment \"_NAME_\" was removed (_POLICY_).\n"
                             "It is kept for a while; ask your postmaster for message _ID_.\n",
                             .help = "Put a text in the place of the parts; the original is kept."},
    [ACTION_LINK_PART] =
        {"link_part", TAKES_TEXT,
         "The attachment \"_NAME_\" was taken out of this message.\n"
         "To get it: _URL_\n",
         .help = "Put a link (quarantine.link_url; without it the id for the release) in the place "
                 "of the parts; the original is kept."},
    [ACTION_RENAME_PART] = {"rename_part", TAKES_TEXT, "_NAME_.txt",
                            .help = "Give the parts another file name."},
    [ACTION_QUARANTINE_PART] =
        {"quarantine_part", TAKES_TEXT,
         "The attachment \"_NAME_\" was quarantined (_POLICY_).\n"
         "Ask your postmaster for message _ID_.\n",
         .help = "As replace_part; the quarantine lists the message with the part's name as "
                 "reason."},
    [ACTION_CLEAN] =
        {"clean", TAKES_TEXT,
         "The attachment \"_NAME_\" was removed, because it is dangerous:\n"
         "_VIRUS_ (_POLICY_)\n"
         "It is kept for a while; ask your postmaster for message _ID_.\n",
         .help = "Take out the parts in which a virus is found, and those that 'parts' tells; the "
                 "original is kept. What is still infected then is held."},
    [ACTION_ADD_DISCLAIMER] = {"add_disclaimer", TAKES_SECTION, .section = &disclaimer_table,
                               .help = "Append a text to the text and HTML of the message."},
    [ACTION_ADD_RECIPIENT] = {"add_recipient", TAKES_ADDRESSES, .help = "Deliver to more."},
    [ACTION_DELETE_RECIPIENT] = {"delete_recipient", TAKES_NOTHING,
                                 .help = "Do not deliver to the recipient the policy matched."},
    [ACTION_REDIRECT] = {"redirect", TAKES_ADDRESSES, .help = "Deliver to others instead."},
    [ACTION_CHANGE_SENDER] = {"change_sender", TAKES_TEXT, .help = "Another envelope sender."},
    [ACTION_NOTIFY] = {"notify", TAKES_SECTION, .section = &notice_table,
                       .help = "Write a message about it."},
    [ACTION_COPY] = {"copy", TAKES_ADDRESSES,
                     .help = "Send the message as it came to an archive, too."},
    [ACTION_KEEP] = {"keep", TAKES_NOTHING,
                     .help = "Keep the message as it came in the quarantine, too."},
};

const char *action_name(enum action_kind k)
{
    return k < ACTION_KINDS ? action_table[k].name : "unknown";
}

const char *action_default(enum action_kind k)
{
    return k < ACTION_KINDS ? action_table[k].def : NULL;
}

bool policy_is_open(const struct policy *p)
{
    const struct auth_test *a = &p->auth;
    return p->recipients.n + p->senders.n + p->clients.n + p->listeners.n + p->direction.n +
                   p->client_names.n + p->helo.n + p->users.n + p->rules.n + p->virus.n +
                   p->header.n + a->spf.n + a->dkim.n + a->dmarc.n + a->arc.n + a->dkim_domain.n ==
               0 &&
           !p->size.given && !p->score.given && !p->parts.given;
}

#define P struct policy
static const struct setting policy_rows[] = {
    STR_(P, name, .help = "Name in records and reports; each once."),
    PATS_(P, recipients, .def = "",
          .help = "Envelope recipients: address, @domain, .domain (and below), a glob or /regex/; "
                  "with a '!' in front: not these."),
    PATS_(P, senders, .def = "", .help = "Envelope senders, likewise."),
    CIDRS_(P, clients, .def = "", .help = "Client networks."),
    STRS_(P, listeners, .def = "", .help = "Names of listeners."),
    STRS_(P, direction, .choices = direction_names, .def = "",
          .help = "inbound: to us; outbound: from our clients and users to others; internal: from "
                  "ours to ours."),
    PATS_(P, client_names, .def = "", .help = "Confirmed names of clients; none matches ''."),
    PATS_(P, helo, .def = "", .help = "What the client calls itself."),
    PATS_(P, users, .def = "", .help = "Authenticated users; '*' is any."),
    SIZES_(P, size, .def_note = "any size", .help = "Size of the message."),
    RANGE_(P, score, .def_note = "any score", .help = "Spam score."),
    PATS_(P, rules, .def = "", .help = "Names of rules one of which hit."),
    PATS_(P, virus, .def = "", .help = "Names of viruses one of which was found; '*' is any."),
    {.name = "parts",
     .type = SET_SECTION,
     .offset = offsetof(P, parts),
     .section = &part_table,
     .help = "Parts one of which is in the message; those are what actions on parts mean."},
    {.name = "header",
     .type = SET_HEADERS,
     .offset = offsetof(P, header),
     .help = "Header fields: a pattern (or a list) that a value matches, true for present, false "
             "for absent."},
    {.name = "auth",
     .type = SET_SECTION,
     .offset = offsetof(P, auth),
     .section = &auth_table,
     .help = "What SPF, DKIM, DMARC and ARC say."},
    {.name = "continue",
     .type = SET_BOOL,
     .offset = offsetof(P, go_on),
     .def = "false",
     .help = "Add the actions and go on with the next policy."},
    BOOL_(P, touch_signed, .def = "false",
          .help = "Change parts that are signed or encrypted too, which breaks them."),
    {.name = "do",
     .type = SET_ACTIONS,
     .offset = offsetof(P, actions),
     .help = "What is done, in order; docs/policies.md tells the actions."},
    BOOL_(P, scan, .def = "true", .help = "false: neither rules nor virus engines."),
    NUM_(P, required_score, .min = -1000, .max = 10000, .def_note = "rules.required_score",
         .help = "From this score on a message is spam."),
    NUM_(P, reject_score, .min = -1000, .max = 10000, .def_note = "rules.reject_score",
         .help = "From this score on on_high_spam is done."),
    ENUM_(P, outcome, on_spam, .choices = outcome_names, .def = "tag",
          .help = "What happens to spam."),
    ENUM_(P, outcome, on_high_spam, .choices = outcome_names, .def = "reject",
          .help = "What happens to spam without doubt."),
    ENUM_(P, outcome, on_virus, .choices = outcome_names, .def = "reject",
          .help = "What happens to infected mail."),
    ENUM_(P, header_style, headers, .choices = header_names, .def = "spamassassin",
          .help = "Whose headers are written."),
    STR_(P, subject_tag, .def_note = "the subject stays",
         .help = "Put in front of the subject of spam; _SCORE_ and _REQD_ are filled in."),
    BOOL_(P, report_header, .def = "false", .help = "Write the report into X-Spam-Report."),
};
const size_t policy_conditions = 19;

const struct setting_table policy_table = {"policy setting", policy_rows, COUNT(policy_rows)};

#define SS struct script_settings
static const struct setting script_rows[] = {
    PATH_(SS, file, .def_note = "no script",
          .help = "The script, such as /etc/gatehouse/policy.lua; read again on SIGHUP."),
    INT_(SS, instructions, .min = 10000, .max = 1e12, .def = "50000000",
         .help = "Instructions of the Lua machine that it may take for one message."),
    SIZE_(SS, memory, .min = 0x1p20, .max = 0x1p34, .def = "64MiB",
          .help = "Memory that the script may use."),
    TIME_(SS, tick, .min = 1e6, .max = 86400e6, .def = "1m",
          .help = "How often each scanner calls tick(), when the script has it."),
    TIME_(SS, timeout, .min = 1e6, .max = 60e6, .def = "10s",
          .help = "How long relay(), helo(), sender(), recipient() and map() may take to answer."),
    ENUM_(SS, on_fail, on_error, .choices = on_fail_names, .def = "defer",
          .help = "The script has failed on a message."),
};
const struct setting_table script_table = {"setting", script_rows, COUNT(script_rows)};

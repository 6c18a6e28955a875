#include "config/rows_private.h"

static const char *const line_ending_names[] = {"refuse", "normalise", NULL};
static const char *const profile_names[] = {"mx", "submission", "relay", NULL};
static const char *const protocol_names[] = {"smtp",   "milter",    "spamd",
                                             "rspamd", "socketmap", NULL};
static const char *const milter_hold_names[] = {"here", "mta", NULL};
static const char *const tls_mode_names[] = {"none", "starttls", "implicit", NULL};
static const char *const recipient_names[] = {"any", "list", "callout", NULL};
static const char *const fail_names[] = {"defer", "hold", "pass", NULL};
static const char *const deliver_tls_names[] = {"none", "may", "require", NULL};
static const char *const wall_action_names[] = {"off", "fact", "defer", "reject", NULL};
static const char *const wall_refuse_names[] = {"connect", "rcpt", NULL};
static const char *const greylist_names[] = {"off", "all", "doubtful", NULL};
static const char *const sender_outcomes[] = {"accept", "tag",   "clean",   "hold",
                                              "reject", "defer", "discard", NULL};
static const char *const dmarc_methods[] = {"tree", "suffix", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const char *const canonicalisations[] = {"relaxed/relaxed", "relaxed/simple",
                                                "simple/relaxed", "simple/simple", NULL};
static const char *const batv_actions[] = {"fact", "reject", NULL};
static const char *const seal_names[] = {"never", "modified", "always", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

const struct setting_section setting_sections[] = {
    {"paths", "Directories. They are made at start when they are missing."},
    {"processes", "How the gateway runs."},
    {"log", "Where events are told."},
    {"tls", "Encryption offered to clients."},
    {"limits", "What a stranger may ask for, each limit by name."},
    {"relay", "Whose mail this gateway takes."},
    {"recipients", "Which recipients in our domains exist."},
    {"auth", "Who may submit mail with a password."},
    {"rules", "Spam rules: SpamAssassin's files, read as they are."},
    {"preferences", "What users and domains may change for themselves."},
    {"virus", "Virus engines, and what happens when they can't answer."},
    {"routes", "Where accepted mail goes."},
    {"queue", "Mail that was promised and is on its way."},
    {"quarantine", "Mail that is held."},
    {"record", "One record per message: what happened to it, and why."},
    {"dns", "Questions to the DNS: MX of next hops, names of clients."},
    {"dkim", "Signatures of sending domains (DKIM): what is accepted, and signatures of our own."},
    {"arc", "What forwarders say they saw (ARC)."},
    {"srs", "Senders of strangers' mail that is passed on to other domains (SRS)."},
    {"batv", "Senders of our users' mail are signed, so that forged bounces are known (BATV)."},
    {"hashcash", "Stamps on mail (X-Hashcash): each counts once."},
    {"pyzor", "Pyzor: how often others have reported the same text."},
    {"dcc", "DCC: how many recipients the same message had elsewhere."},
    {"razor", "Vipul's Razor: whether others have reported the same text."},
    {"spamcop", "Reports to SpamCop by `gatehouse report`."},
    {"wall", "Who is calling: lists, manners, names. Neither relay.networks nor loopback nor users "
             "with a password are asked."},
    {"greylist", "Unknown senders are asked to come again."},
    {"rates", "How much of what for whom."},
    {"reputation", "What was learned about clients and domains from their mail."},
    {"learn", "Bayes: what was learned from mail that somebody has judged."},
    {"state", "What is remembered for a while, in paths.state."},
    {"authentication", "Whether mail comes from whom it says: results for readers further on."},
    {"spf", "Which hosts may send for a domain (RFC 7208)."},
    {"dmarc", "What the domain in the From field asks for when nothing vouches for it (RFC 9989)."},
    {"reports",
     "Reports about mail: ours to the domains that ask for them, and those of others to us."},
    {NULL, NULL},
};

#define S    struct settings
#define DAY  86400e6
#define HOUR 3600e6
#define MIB  0x1p20
#define GIB  0x1p30
static const char *const delay_names[] = {"at-once", "recipient", "friend", "hater", NULL};

static const struct setting rows[] = {
    STR_(S, hostname, .def_note = "the name of the host",
         .help = "Name of this gateway in its greeting, in Received headers and in bounces."),
    STR_(S, banner, .def = "ESMTP",
         .help = "Text after the host name in the greeting; it tells neither program nor version."),
    ENUM_(S, line_endings, line_endings, .choices = line_ending_names, .def = "refuse",
          .help = "What to do about a bare CR or LF in message data: refuse it (the safe way "
                  "against smuggled mail) or turn it into a proper line end."),
    PATH_(S, access_file, .def_note = "no such map",
          .help =
              "Access map in Sendmail's text form (Connect:, From:, To: with OK, RELAY, REJECT, "
              "DISCARD, QUARANTINE, ERROR; Spam:, GreetPause:, ClientRate:, ClientConn:; CIDR "
              "too); reloaded when it changes."),
    ENUM_(S, access_delay, access_delay, .choices = delay_names, .def = "at-once",
          .help = "When the access map's refusals of client and sender are told: at once, to each "
                  "recipient, to each recipient but those with Spam: FRIEND (friend), or to those "
                  "with Spam: HATER alone (hater)."),

    PATH_(S, paths.state, .def = "/var/lib/gatehouse", .help = "Records, quarantine and state."),
    PATH_(S, paths.spool, .def = "/var/spool/gatehouse", .help = "The queue."),
    PATH_(S, paths.cache, .def = "/var/cache/gatehouse",
          .help = "Compiled rules; may be emptied at any time."),
    PATH_(S, paths.run, .def = "/run/gatehouse", .help = "Sockets of the running gateway."),

    INT_(S, processes.scanners, .max = 1024, .def = "0",
         .help = "Scanner processes; 0 means one for each core."),
    INT_(S, processes.window, .min = 1, .max = 10000, .def = "64",
         .help =
             "Messages in the hands of one scanner; they wait there for answers of the DNS and of "
             "virus engines. More wait for a free place."),
    STR_(S, processes.user, .def = "gatehouse", .def_note = "stay who started it",
         .help = "User that all processes but the supervisor become when started as root."),
    STR_(S, processes.group, .def = "gatehouse", .def_note = "the user's group",
         .help = "Group that goes with processes.user."),
    BOOL_(S, processes.confine, .def = "true",
          .help =
              "Processes may reach only the files, ports and system calls that their work needs "
              "(Landlock, seccomp), as far as the kernel knows these."),

    STR_(S, log.target, .def = "stderr",
         .help = "stderr, syslog, journald, or the path of a file."),
    BOOL_(S, log.json, .def = "false", .help = "One JSON object per event instead of key=value."),
    STR_(S, log.level, .choices = levels, .def = "info", .help = "The least serious event told."),

    PATH_(S, tls.certificate, .def_note = "no TLS",
          .help = "Certificate chain in PEM; read again on SIGHUP."),
    PATH_(S, tls.key, .def_note = "the key stands in tls.certificate",
          .help = "Private key in PEM."),
    STR_(S, tls.min_version, .choices = tls_versions, .def = "1.2",
         .help = "Oldest version of TLS that is spoken."),
    STR_(S, tls.ciphers, .def_note = "OpenSSL's own choice",
         .help = "Ciphers for TLS 1.2, as OpenSSL lists them."),
    PATH_(S, tls.authorities, .def_note = "the system's",
          .help = "Certificates in PEM of those who are trusted to name next hops."),

    SIZE_(S, limits.message_size, .min = 1024, .max = 2 * GIB, .def = "50MiB",
          .help = "Largest message taken (SIZE)."),
    SIZE_(S, limits.header_bytes, .min = 1024, .max = 64 * MIB, .def = "512KiB",
          .help = "Largest header of a message."),
    INT_(S, limits.recipients, .min = 1, .max = 100000, .def = "1000",
         .help = "Recipients of one message; RFC 5321 wants at least 100."),
    INT_(S, limits.errors, .min = 1, .max = 10000, .def = "10",
         .help = "Refused commands before the session is closed."),
    INT_(S, limits.commands, .min = 10, .max = 1e6, .def = "1000",
         .help = "Commands in a row that bring no mail forward (NOOP, RSET, ...)."),
    INT_(S, limits.transactions, .min = 1, .max = 1e6, .def = "200",
         .help = "Messages in one session."),
    INT_(S, limits.sessions, .min = 1, .max = 1e6, .def = "20000",
         .help = "Sessions open at the same time."),
    INT_(S, limits.sessions_per_address, .min = 1, .max = 1e6, .def = "100",
         .help = "Sessions open at the same time from one client address (IPv6: one /64); "
                 "relay.networks are not counted."),
    TIME_(S, limits.command_timeout, .min = 1e6, .max = HOUR, .def = "2m",
          .help = "Wait for the next command."),
    TIME_(S, limits.data_timeout, .min = 1e6, .max = HOUR, .def = "5m",
          .help = "Wait for the next piece of a message."),
    TIME_(S, limits.session_time, .min = 1e6, .max = DAY, .def = "1h",
          .help = "Longest session, whatever it does."),
    SIZE_(S, limits.line_length, .min = 512, .max = 65536, .def = "2048",
          .help = "Longest command line."),
    INT_(S, limits.bdat_chunks, .min = 1, .max = 1e7, .def = "100000",
         .help = "BDAT chunks in one message."),
    INT_(S, limits.received_hops, .min = 5, .max = 1000, .def = "50",
         .help = "Received headers from which on a message counts as looping."),
    SIZE_(S, limits.message_memory, .min = 16 * MIB, .max = 64 * GIB, .def = "512MiB",
          .help = "Memory a scanner may spend on one message."),
    TIME_(S, limits.scan_time, .min = 1e6, .max = HOUR, .def = "60s",
          .help = "A scanner that takes longer is ended, and the sender asked to try again."),
    INT_(S, limits.mime_parts, .min = 1, .max = 1e6, .def = "1000",
         .help = "Parts of a message that are looked at."),
    INT_(S, limits.mime_depth, .min = 1, .max = 200, .def = "20",
         .help = "Depth of parts within parts."),
    INT_(S, limits.mime_headers, .min = 10, .max = 1e6, .def = "5000",
         .help = "Header fields of one part."),
    INT_(S, limits.poison_crashes, .min = 1, .max = 100, .def = "3",
         .help = "A message that has ended this many scanners is held."),

    STRS_(S, relay.domains, .def = "",
          .help = "Recipients in these domains are ours (.example.org: all below)."),
    PATH_(S, relay.domains_file, .def_note = "no file",
          .help = "The same, one domain a line; reloaded when it changes."),
    CIDRS_(S, relay.networks, .def = "", .help = "Clients in these networks may send to anywhere."),

    ENUM_(S, recipient_check, recipients.check, .choices = recipient_names, .def = "any",
          .help = "Which recipients in our domains are taken: any, those in a list, or those that "
                  "the next hop takes (callout)."),
    PATH_(S, recipients.file, .def_note = "no list",
          .help = "One address or @domain a line, then nothing, OK or ERROR:...; reloaded when it "
                  "changes."),
    TIME_(S, recipients.callout_positive, .max = 30 * DAY, .def = "1d",
          .help = "How long a yes of the next hop is remembered."),
    TIME_(S, recipients.callout_negative, .max = 30 * DAY, .def = "1h",
          .help = "How long a no is remembered."),
    TIME_(S, recipients.callout_timeout, .min = 1e6, .max = HOUR, .def = "30s",
          .help = "How long the next hop may think."),
    INT_(S, recipients.callout_cache, .min = 1, .max = 1e7, .def = "100000",
         .help = "Answers remembered."),

    PATH_(S, auth.users_file, .def_note = "no such users",
          .help =
              "user:hash a line; hash is crypt(3)'s (yescrypt, bcrypt, SHA-512) or Argon2id's."),
    PATH_(S, auth.dovecot_socket, .def_note = "Dovecot is not asked",
          .help = "Dovecot's auth client socket."),
    BOOL_(S, auth.plaintext, .def = "false",
          .help = "Offer AUTH without TLS (for tests on loopback)."),

    PATHS_(S, rules.dirs, .def = "",
           .help = "Directories of rule files; empty: where SpamAssassin looks."),
    PATH_(S, rules.site_dir, .def = "/etc/spamassassin", .def_note = "no rules of this site",
          .help = "Rules and settings of this site, read last."),
    BOOL_(S, rules.enabled, .def = "true", .help = "Judge mail by spam rules."),
    BOOL_(S, rules.network, .def = "true",
          .help =
              "Run the rules that ask the DNS (lists of addresses and domains), with the scores "
              "made for that case."),
    NUM_(S, rules.required_score, .min = -1000, .max = 10000, .def = "5",
         .help = "From this score on a message is spam."),
    NUM_(S, rules.reject_score, .min = -1000, .max = 10000, .def = "15",
         .help = "From this score on a message is refused."),
    INT_(S, rules.match_limit, .min = 1000, .max = 1e9, .def = "1000000",
         .help = "Steps that one match of one pattern may take."),
    INT_(S, rules.depth_limit, .min = 100, .max = 1e8, .def = "250000",
         .help = "Depth to which one match may backtrack."),
    SIZE_(S, rules.message_size, .min = 65536, .max = GIB, .def = "2MiB",
          .help = "Larger messages are judged by their first bytes, and marked so."),
    STRS_(S, rules.trusted_networks, .def = "",
          .help =
              "Hosts that do not forge Received headers, in SpamAssassin's syntax; empty: as the "
              "rule files say."),
    STRS_(S, rules.internal_networks, .def = "",
          .help = "Our own mail exchangers, in SpamAssassin's syntax."),
    STRS_(S, rules.msa_networks, .def = "",
          .help = "Hosts that take mail from our users, in SpamAssassin's syntax."),

    STRS_(S, preferences.files, .def = "",
          .help = "Files of users' preferences (user_prefs), read in this order; %u is the "
                  "recipient, %l and %d its local part and domain, %x the recipient or else the "
                  "domain. A directory stands for the user_prefs in it."),
    BOOL_(S, preferences.sql, .def = "true",
          .help = "Ask the database that user_scores_dsn in the rule files names, if it does."),
    TIME_(S, preferences.sql_timeout, .min = 10e3, .max = 60e6, .def = "2s",
          .help = "How long the database may take; then the rule files alone count."),
    TIME_(S, preferences.sql_keep, .max = HOUR, .def = "30s",
          .help = "How long its answer for a user is remembered."),
    SIZE_(S, preferences.memory, .min = MIB, .max = 64 * GIB, .def = "64MiB",
          .help = "Memory that a scanner may keep preferences in."),

    BOOL_(S, virus.enabled, .def = "true", .help = "Ask virus engines."),
    STRS_(S, virus.clamd, .def = "",
          .help = "clamd's sockets, tried in order: unix:/run/clamav/clamd.ctl, 127.0.0.1:3310."),
    BOOL_(S, virus.embedded, .def = "true",
          .help =
              "Run an engine of our own (libclamav) where no clamd answers and the database has "
              "signatures."),
    PATH_(S, virus.database, .def = "/var/lib/clamav",
          .help = "Signatures of the embedded engine."),
    TIME_(S, virus.connect_timeout, .min = 10e3, .max = 600e6, .def = "5s",
          .help = "How long an engine may take to accept a connection."),
    TIME_(S, virus.scan_timeout, .min = 10e3, .max = HOUR, .def = "45s",
          .help = "How long an engine may take for a message; must be below limits.scan_time."),
    TIME_(S, virus.probe_interval, .min = 10e3, .max = HOUR, .def = "10s",
          .help = "How often an engine that failed is tried again."),
    SIZE_(S, virus.max_size, .min = 1024, .max = 2 * GIB, .def = "100MiB",
          .help = "Larger messages are not given to engines (see on_too_large)."),
    ENUM_(S, on_fail, virus.on_error, .choices = fail_names, .def = "defer",
          .help = "An engine is configured, but none answers."),
    ENUM_(S, on_fail, virus.on_no_engine, .choices = fail_names, .def = "pass",
          .help = "No engine is configured and there are no signatures; pass: delivered, marked as "
                  "unscanned."),
    ENUM_(S, on_fail, virus.on_too_large, .choices = fail_names, .def = "pass",
          .help = "The message is too large for the engines."),
    ENUM_(S, on_fail, virus.on_encrypted, .choices = fail_names, .def = "pass",
          .help = "The engine found an archive that it can't open."),

    PATH_(S, routes.file, .def_note = "no such map",
          .help = "Next hops by domain, as in Sendmail's mailertable; reloaded when it changes."),
    STR_(S, routes.fallback, .def = "mx",
         .help = "Route of all other mail: mx, smtp:[192.0.2.1]:25, lmtp:/run/dovecot/lmtp or "
                 "maildir:PATH."),

    BOOL_(S, queue.after_queue, .def = "false",
          .help = "Scan after the message was taken instead of before; spam can then no longer be "
                  "refused, only held."),
    TIMES_(S, queue.retry, .min = 1e6, .max = 7 * DAY, .def = "1m, 5m, 15m, 30m, 1h, 2h, 4h",
           .help = "Waits between tries; the last one repeats."),
    TIME_(S, queue.lifetime, .min = 60e6, .max = 60 * DAY, .def = "5d",
          .help = "Undelivered mail goes back to its sender after this time."),
    TIME_(S, queue.delay_warning, .max = 60 * DAY, .def = "4h",
          .help = "The sender is told once that mail waits; 0: never."),
    INT_(S, queue.concurrency_total, .min = 1, .max = 10000, .def = "200",
         .help = "Connections to next hops at the same time."),
    INT_(S, queue.concurrency_destination, .min = 1, .max = 10000, .def = "20",
         .help = "Connections to one next hop at the same time."),
    INT_(S, queue.recipients_per_delivery, .min = 1, .max = 10000, .def = "100",
         .help = "Recipients in one transaction with a next hop."),
    TIME_(S, queue.connect_timeout, .min = 100e3, .max = HOUR, .def = "30s",
          .help = "How long a next hop may take to accept a connection."),
    TIME_(S, queue.command_timeout, .min = 100e3, .max = HOUR, .def = "5m",
          .help = "How long it may take to answer a command (RFC 5321 section 4.5.3.2)."),
    TIME_(S, queue.data_timeout, .min = 100e3, .max = HOUR, .def = "10m",
          .help = "How long it may take to answer the end of a message."),
    TIME_(S, queue.idle_timeout, .max = HOUR, .def = "5s",
          .help = "How long an idle connection is kept for the next message."),
    INT_(S, queue.reuse, .min = 1, .max = 1e6, .def = "100", .help = "Messages on one connection."),
    ENUM_(S, deliver_tls, queue.tls, .choices = deliver_tls_names, .def = "may",
          .help =
              "TLS towards next hops: none, when offered (may), or required with a certificate "
              "that verifies for the next hop's name (its address where a route names no host)."),
    BOOL_(S, queue.dane, .def = "true",
          .help =
              "Mail exchangers with DNSSEC-validated TLSA records must prove by them who they are "
              "(DANE, RFC 7672)."),
    BOOL_(S, queue.mta_sts, .def = "true",
          .help = "What domains demand of their exchangers' names and certificates holds "
                  "(MTA-STS, RFC 8461)."),
    SIZE_(S, queue.segment_size, .min = 65536, .max = 2 * GIB, .def = "64MiB",
          .help = "Size of one file of the queue's journal."),
    SIZE_(S, queue.minimum_free, .def = "100MiB",
          .help = "With less free space in the spool new mail is put off (452)."),
    TIME_(S, queue.commit_delay, .max = 1e6, .def = "1ms",
          .help = "How long a message waits for others to share one write to disk."),
    STR_(S, queue.helo, .def_note = "hostname", .help = "Name given to next hops."),
    STR_(S, queue.bounce_from, .def_note = "postmaster at hostname",
         .help = "Author of delivery reports (the From header; their envelope has none)."),
    BOOL_(S, queue.bounce, .def = "true",
          .help = "Report failures to the sender; false: hold the message instead."),

    TIME_(S, quarantine.keep, .min = HOUR, .max = 3660 * DAY, .def = "30d",
          .help = "How long held mail is kept."),
    STR_(S, quarantine.link_url, .def_note = "no link",
         .help = "Where recipients can ask for what was taken out of their mail, for the tag _URL_ "
                 "and link_part; _ID_, _PART_, _NAME_ and _RECIPIENT_ are filled in: "
                 "'https://mail.example.org/held/_ID_/_PART_'."),

    TIME_(S, record.keep, .min = HOUR, .max = 3660 * DAY, .def = "90d",
          .help = "How long records are kept."),
    TIME_(S, record.batch, .max = 10e6, .def = "100ms",
          .help = "How long records are gathered into one write."),

    STRS_(S, dns.servers, .def = "",
          .help = "Servers to ask, as ADDRESS or ADDRESS@PORT; none: those of /etc/resolv.conf."),
    BOOL_(S, dns.recursive, .def = "false",
          .help = "Ask the root servers ourselves instead (needs no dns.servers)."),
    STRS_(S, dns.zones, .def = "",
          .help = "Zones whose authoritative servers are asked directly, each as ZONE ADDRESS or "
                  "ZONE ADDRESS@PORT: a local copy of a block list. With the word signed behind it "
                  "the zone is validated."),
    STRS_(S, dns.local_data, .def = "",
          .help =
              "Records as in a zone file, answered without asking: 'www.example. A 192.0.2.1'."),
    BOOL_(S, dns.dnssec, .def = "true",
          .help = "Validate answers (DNSSEC); forged ones then count as unanswered."),
    PATH_(S, dns.trust_anchor, .def_note = "/usr/share/dns/root.key",
          .help = "File with the key that validation starts from."),
    BOOL_(S, dns.client_names, .def = "true",
          .help = "Find the name of each client before it is greeted; rules and the access map use "
                  "it. Clients on loopback are not asked for."),
    INT_(S, dns.message_questions, .min = 1, .max = 10000, .def = "500",
         .help = "Questions asked for one message; what would be more is not asked."),
    TIME_(S, dns.message_time, .min = 100e3, .max = 300e6, .def = "15s",
          .help = "How long a message waits for answers, when none comes; down to a fifth of it "
                  "when most have come. What is unanswered then does not count."),
    TIME_(S, dns.timeout, .min = 100e3, .max = 120e6, .def = "10s",
          .help = "How long one question may take; then it counts as unanswered."),

    INT_(S, dkim.minimum_bits, .min = 512, .max = 4096, .def = "1024",
         .help = "Signatures of shorter RSA keys don't count (RFC 8301)."),
    BOOL_(S, dkim.accept_sha1, .def = "false",
          .help = "Signatures with SHA-1 count; RFC 8301 forbids it."),
    STRS_(S, dkim.sign, .def = "",
          .help = "Domains for which mail of our users is signed; .example.org: and all below it. "
                  "DOMAIN SELECTOR FILE names a key outside of dkim.keys."),
    PATH_(S, dkim.keys, .def = "/etc/gatehouse/dkim",
          .help = "Private keys, as 'gatehouse dkim keygen' lays them down."),
    STRS_(S, dkim.headers,
          .def = "From, Sender, Reply-To, Subject, Date, Message-ID, To, Cc, In-Reply-To, "
                 "References, MIME-Version, Content-Type, Content-Transfer-Encoding, "
                 "Content-Disposition, Resent-Date, Resent-From, Resent-Sender, Resent-To, "
                 "Resent-Cc, Resent-Message-ID, List-Id, List-Help, List-Unsubscribe, "
                 "List-Unsubscribe-Post, List-Subscribe, List-Post, List-Owner, List-Archive",
          .help = "Header fields that are signed, where they are present; From always is."),
    STRS_(S, dkim.oversign,
          .def = "From, Sender, Reply-To, Subject, Date, To, Cc, MIME-Version, Content-Type, "
                 "Content-Transfer-Encoding",
          .help = "Of these, fields that nobody may add to a signed message."),
    ENUM_(S, dkim_canonicalisation, dkim.canonicalisation, .choices = canonicalisations,
          .def = "relaxed/relaxed",
          .help = "What relays may change in header and body: white space (relaxed) or nothing."),
    TIME_(S, dkim.expire, .max = 365 * DAY, .def = "0s",
          .help = "How long signatures hold; 0: without end."),
    ENUM_(S, on_fail, dkim.on_sign_error, .choices = fail_names, .def = "defer",
          .help = "The key that a message should be signed with can't be used."),

    STRS_(S, arc.trusted_sealers, .def = "",
          .help = "Forwarders whose word is taken: what they saw before they forwarded a message "
                  "may stand for a failed DMARC check."),
    ENUM_(S, arc_seal, arc.seal, .choices = seal_names, .def = "never",
          .help = "Seal mail of others before it is passed on: never, when we changed what was "
                  "there, or always."),
    STR_(S, arc.domain, .def_note = "no seals", .help = "Domain whose key in dkim.keys seals."),

    STR_(S, srs.domain, .def_note = "senders stay as they are",
         .help = "Domain of rewritten senders; mail for it must come to this gateway."),
    PATH_(S, srs.key_file, .def_note = "none",
          .help = "Secrets, one a line: the first makes addresses, all recognise them."),
    TIME_(S, srs.lifetime, .min = DAY, .max = 365 * DAY, .def = "21d",
          .help = "How long bounces to a rewritten sender are taken."),
    STRS_(S, srs.exempt_recipients, .def = "",
          .help = "Recipients elsewhere who get senders as they are, written as in policies; those "
                  "in relay.domains always do."),

    STRS_(S, batv.domains, .def = "",
          .help = "Domains of our users whose senders are signed when mail leaves for other "
                  "domains, and who get bounces only to such senders; .example.org: and all below "
                  "it."),
    PATH_(S, batv.key_file, .def_note = "none",
          .help = "Secrets, one a line: the first signs, all verify."),
    TIME_(S, batv.lifetime, .min = DAY, .max = 365 * DAY, .def = "7d",
          .help = "How long bounces to a signed sender are taken."),
    ENUM_(S, batv_action, batv.on_invalid, .choices = batv_actions, .def = "reject",
          .help = "Bounces of strangers without a valid tag are refused, or marked (fact 'batv'): "
                  "for the first week."),
    STRS_(S, batv.exempt_recipients, .def = "postmaster@",
          .help = "Recipients who get bounces without a tag all the same, written as in policies."),
    STRS_(S, batv.unsigned_to, .def = "",
          .help = "Recipients elsewhere who get senders as they are, written as in policies: "
                  "mailing lists that know their members by it."),

    STRS_(S, hashcash.accept, .def = "",
          .help = "Stamps are for a recipient of the message, or for one of these: address or "
                  "@domain."),

    STRS_(S, pyzor.servers, .def = "",
          .help = "Servers to ask, HOST:PORT; their counts are added. None: Pyzor is off. The "
                  "public one is public.pyzor.org:24441."),
    PATH_(S, pyzor.accounts, .def_note = "the anonymous user",
          .help = "Accounts file of Pyzor: HOST : PORT : USER : SALT,KEY a line."),
    TIME_(S, pyzor.timeout, .min = 10e3, .max = 60e6, .def = "5s",
          .help = "How long a message waits for an answer."),
    SIZE_(S, pyzor.max_size, .min = 1024, .max = 64 * MIB, .def = "2MiB",
          .help = "Nobody is asked about larger messages."),
    ENUM_(S, on_fail, pyzor.on_error, .choices = fail_names, .def = "pass",
          .help = "What happens when no server answers; pass: its rules do not hit, and the "
                  "receipt says why."),

    STR_(S, dcc.dccifd, .def_note = "DCC is off",
         .help = "Socket of dccifd: unix:/var/dcc/dccifd, or HOST:PORT."),
    BOOL_(S, dcc.query, .def = "false",
          .help = "Ask without counting the message (files are never counted)."),
    TIME_(S, dcc.timeout, .min = 10e3, .max = 60e6, .def = "5s",
          .help = "How long a message waits for the answer."),
    SIZE_(S, dcc.max_size, .min = 1024, .max = 256 * MIB, .def = "20MiB",
          .help = "dccifd is not asked about larger messages."),
    ENUM_(S, on_fail, dcc.on_error, .choices = fail_names, .def = "pass",
          .help = "What happens when dccifd does not answer."),

    STRS_(S, razor.servers, .def = "",
          .help = "Catalogue servers, HOST:PORT; the next one is asked when one does not answer. "
                  "None, and no razor.discovery: Razor is off."),
    STRS_(S, razor.reporting, .def = "",
          .help = "Nomination servers, HOST:PORT, to which `gatehouse report` sends."),
    STR_(S, razor.discovery, .def_note = "nobody",
         .help = "Server that names catalogue servers, once a day, when razor.servers names none: "
                 "discovery.razor.cloudmark.com:2703."),
    STR_(S, razor.min_cf, .def = "ac",
         .help = "Confidence from which on a part is spam: 0 to 100, or ac (what the server says), "
                 "ac+N, ac-N."),
    PATH_(S, razor.identity, .def_note = "no reports",
          .help = "File with user=... and pass=..., as razor-admin -register writes it."),
    TIME_(S, razor.timeout, .min = 10e3, .max = 60e6, .def = "5s",
          .help = "How long a message waits for the answer."),
    SIZE_(S, razor.max_size, .min = 1024, .max = 64 * MIB, .def = "2MiB",
          .help = "Nobody is asked about larger messages."),
    ENUM_(S, on_fail, razor.on_error, .choices = fail_names, .def = "pass",
          .help = "What happens when no server answers."),

    STR_(S, spamcop.from, .def_note = "postmaster at hostname",
         .help = "Sender of reports: the address that is registered with SpamCop."),
    STR_(S, spamcop.to, .def = "spamassassin-submit@spam.spamcop.net",
         .help = "Where reports go; SpamCop gives each user an address of his own."),
    STR_(S, spamcop.relay, .def_note = "the MX of spamcop.to, port 587",
         .help = "Server that takes the reports: HOST:PORT."),
    SIZE_(S, spamcop.max_size, .min = 1024, .max = 64 * MIB, .def = "50KiB",
          .help = "Longer messages are cut in reports; SpamCop takes no more."),

    BOOL_(S, wall.enabled, .def = "true", .help = "Look at who is calling."),
    CIDRS_(S, wall.exempt_clients, .def = "", .help = "Clients that nothing is asked about."),
    STRS_(S, wall.exempt_names, .def = "",
          .help = "Names of such clients, confirmed by the DNS: host.example, or .example for all "
                  "below it."),
    STRS_(S, wall.exempt_recipients, .def = "postmaster@",
          .help = "Recipients who get mail that the wall would refuse at RCPT, written as in "
                  "policies."),
    PATH_(S, wall.asn_database, .def_note = "the ASN of clients is not known",
          .help = "Database of MaxMind's format (GeoLite2-ASN.mmdb, GeoIP2-ISP.mmdb) that tells "
                  "whose a client's address is: for rates and reputation by ASN."),
    ENUM_(S, wall_refuse, wall.refuse, .choices = wall_refuse_names, .def = "rcpt",
          .help = "When a client that is not wanted is told: at once (connect), or at each "
                  "recipient (rcpt), so that the log names sender and recipient and "
                  "wall.exempt_recipients can be reached."),
    TIME_(S, wall.greet_wait, .max = 60e6, .def = "0",
          .help = "How long an unknown client waits for the greeting; who speaks first is no mail "
                  "server. 6s is a good value."),
    STR_(S, wall.teaser, .def_note = "none",
         .help = "Text of a first line of the greeting (220-), sent before wall.greet_wait: many "
                 "programs that send spam begin to talk at it."),
    ENUM_(S, wall_action, wall.on_pregreet, .choices = wall_action_names, .def = "reject",
          .help = "What happens to who speaks before the greeting."),
    TIME_(S, wall.pass_greet, .max = 366 * DAY, .def = "1d",
          .help = "How long a client that waited need not wait again."),
    TIME_(S, wall.pass_lists, .max = 366 * DAY, .def = "1h",
          .help = "How long a client that no list names is not asked about again."),
    STRS_(S, wall.dns_lists, .def = "",
          .help =
              "Lists of clients: ZONE[=FILTER][*WEIGHT] [as NAME] [test=NAME] [URL]; a negative "
              "weight for lists of good ones."),
    STRS_(S, wall.helo_lists, .def = "", .help = "Lists of domains, asked about the name in HELO."),
    STRS_(S, wall.sender_lists, .def = "",
          .help = "Lists of domains, asked about the sender's domain."),
    NUM_(S, wall.reject_score, .min = -10000, .max = 10000, .def = "3",
         .help = "Sum of weights from which on a client is refused."),
    NUM_(S, wall.allow_score, .min = -10000, .max = 10000, .def = "-2",
         .help = "Sum of weights down to which a client is trusted: it neither waits nor is "
                 "greylisted."),
    TIME_(S, wall.list_timeout, .min = 10e3, .max = 60e6, .def = "3s",
          .help =
              "How long all lists together are waited for; who does not answer has not listed."),
    TIME_(S, wall.list_test, .max = 30 * DAY, .def = "1h",
          .help = "How often each list is tested: 127.0.0.2 must be listed, 127.0.0.1 must not; a "
                  "list that fails is not asked until it passes. 0: never."),
    ENUM_(S, wall_action, wall.on_helo_invalid, .choices = wall_action_names, .def = "fact",
          .help = "HELO names no host: an address without brackets, that of another host, or a "
                  "name without a dot."),
    ENUM_(S, wall_action, wall.on_helo_ours, .choices = wall_action_names, .def = "fact",
          .help = "A stranger's HELO is our own name or domain."),
    ENUM_(S, wall_action, wall.on_helo_unknown, .choices = wall_action_names, .def = "fact",
          .help = "The name in HELO does not exist in the DNS."),
    ENUM_(S, wall_action, wall.on_no_name, .choices = wall_action_names, .def = "fact",
          .help = "The client's address has no name that leads back to it."),
    ENUM_(S, wall_action, wall.on_sender_unknown, .choices = wall_action_names, .def = "fact",
          .help = "The sender's domain does not exist, or has neither MX nor address."),
    ENUM_(S, wall_action, wall.on_sender_mx, .choices = wall_action_names, .def = "fact",
          .help = "The sender's domain takes no mail (null MX), or all its MX lie in networks that "
                  "can't be reached, such as 127/8 and 10/8."),

    ENUM_(S, greylist_mode, greylist.mode, .choices = greylist_names, .def = "off",
          .help =
              "off; all: every unknown triple of network, sender and recipient waits; doubtful: "
              "after DATA, only messages between greylist.score_from and score_to."),
    TIME_(S, greylist.delay, .min = 1e6, .max = DAY, .def = "5m",
          .help = "How long who is unknown is put off."),
    TIME_(S, greylist.retry_window, .min = 60e6, .max = 30 * DAY, .def = "2d",
          .help = "Who has not come again by then begins anew."),
    TIME_(S, greylist.pass_time, .min = 60e6, .max = 366 * DAY, .def = "35d",
          .help = "How long who came again passes, counted from the last mail."),
    INT_(S, greylist.auto_pass, .max = 1e6, .def = "5",
         .help = "A network that came again for so many triples passes with all; 0: never."),
    BOOL_(S, greylist.helo, .def = "false", .help = "The name in HELO belongs to the triple too."),
    BOOL_(S, greylist.spf, .def = "true",
          .help = "Where SPF confirms the sender's domain, it stands for the network: senders with "
                  "many hosts wait once (doubtful: they do not wait at all when they passed "
                  "before)."),
    INT_(S, greylist.ipv4_bits, .min = 8, .max = 32, .def = "24", .help = "Network of IPv4."),
    INT_(S, greylist.ipv6_bits, .min = 16, .max = 128, .def = "64", .help = "Network of IPv6."),
    NUM_(S, greylist.score_from, .min = -1000, .max = 10000, .def = "2",
         .help = "doubtful: from this score on a message waits."),
    NUM_(S, greylist.score_to, .min = -1000, .max = 10000, .def = "15",
         .help = "doubtful: from this score on waiting would not change anything."),

    STRS_(S, rates.limits, .def = "bad-recipients address 100/1h, recipients user 1000/1h",
          .help = "WHAT WHO N/TIME [burst N] [defer|delay|stop] [as NAME]; WHAT: connections, "
                  "messages, recipients, bad-recipients, or 'sessions WHO N'; WHO: address, "
                  "network, asn, sender, sender-domain, recipient, recipient-domain, user. stop: "
                  "the user can't send until released."),
    TIME_(S, rates.stop_time, .max = 366 * DAY, .def = "0",
          .help = "How long a stopped user stays stopped; 0: until `gatehouse wall release`."),

    BOOL_(S, reputation.enabled, .def = "true",
          .help = "Learn from each verdict about address, network, ASN and domains."),
    TIME_(S, reputation.half_life, .min = 60e6, .max = 366 * DAY, .def = "14d",
          .help = "After this time what was learned counts half."),
    NUM_(S, reputation.bad, .min = -1, .max = 1, .def = "0.9",
         .help = "From here on (1: nothing but spam) a client's address is bad."),
    INT_(S, reputation.minimum, .min = 1, .max = 1e6, .def = "20",
         .help = "Messages that must be known first."),
    ENUM_(S, wall_action, reputation.on_bad, .choices = wall_action_names, .def = "fact",
          .help = "What happens to clients whose address is bad."),

    SIZE_(S, learn.size, .min = 1 * MIB, .max = 64 * GIB, .def = "256MiB",
          .help = "Largest size of the file of what was learned; a store of SpamAssassin's usual "
                  "150000 tokens takes about 15 MB."),
    BOOL_(S, learn.automatic, .def = "true",
          .help = "Learn from mail whose verdict is beyond doubt, as the rule files say "
                  "(bayes_auto_learn), once something was learned by hand."),
    BOOL_(S, learn.users, .def = "false",
          .help = "Each user has a part of its own: spamd's User, the recipient of mail that has "
                  "one alone. Mail to several is judged by what the site has learned."),

    SIZE_(S, state.size, .min = 1 * MIB, .max = 64 * GIB, .def = "512MiB",
          .help = "Largest size of each file of state; a million entries take about 150 MB."),
    BOOL_(S, authentication.enabled, .def = "true",
          .help =
              "Check SPF, DKIM, ARC and DMARC of mail that does not come from our own users and "
              "networks."),
    STR_(S, authentication.authserv_id, .def_note = "hostname",
         .help = "Name under which results are told; fields of others with this name are removed."),
    BOOL_(S, authentication.results_header, .def = "true",
          .help = "Write an Authentication-Results field (RFC 8601)."),
    BOOL_(S, authentication.received_spf, .def = "false", .help = "Write a Received-SPF field."),

    BOOL_(S, spf.enabled, .def = "true", .help = "Check SPF of HELO and MAIL FROM."),
    ENUM_(S, outcome, spf.on_fail, .choices = sender_outcomes, .def = "accept",
          .help = "What happens when the sender's domain says that the client may not send for it; "
                  "mail that is forwarded fails, too."),
    BOOL_(S, spf.pra, .def = "false",
          .help = "Check the purported responsible address (Sender ID, RFC 4407) as a fact."),

    BOOL_(S, dmarc.enabled, .def = "true", .help = "Check DMARC of the From field."),
    ENUM_(S, dmarc_method, dmarc.method, .choices = dmarc_methods, .def = "tree",
          .help =
              "How the organisational domain is found: tree walks up the DNS (RFC 9989), suffix "
              "takes the public suffix list (RFC 7489)."),
    ENUM_(S, outcome, dmarc.on_reject, .choices = sender_outcomes, .def = "reject",
          .help =
              "What happens to mail that fails and whose domain asks to reject it; accept leaves "
              "it to the rules and their scores."),
    ENUM_(S, outcome, dmarc.on_quarantine, .choices = sender_outcomes, .def = "tag",
          .help = "What happens to mail that fails and whose domain asks to quarantine it."),
    ENUM_(S, outcome, dmarc.on_bad_from, .choices = sender_outcomes, .def = "tag",
          .help = "What happens to mail whose From field programs can read differently (several "
                  "fields, hidden addresses), or that has none."),

    BOOL_(S, reports.dmarc, .def = "false",
          .help = "Send DMARC aggregate reports (RFC 9990) once a day to the domains that ask for "
                  "them; what they are made of is kept in any case."),
    BOOL_(S, reports.tls, .def = "false",
          .help = "Send reports about TLS towards next hops (RFC 8460) once a day to the domains "
                  "that ask for them."),
    STR_(S, reports.from, .def_note = "postmaster at hostname",
         .help = "Author and envelope sender of reports; its domain is named as their submitter. "
                 "With a key in dkim.sign they are signed."),
    STR_(S, reports.organisation, .def_note = "the domain of reports.from",
         .help = "Name of who reports."),
    STR_(S, reports.contact, .def_note = "none",
         .help = "Where to ask about a report, beside its author: a page or a text."),
    TIME_(S, reports.at, .max = 86340e6, .def = "1h",
          .help = "When reports of the day before are sent, after midnight UTC."),
    INT_(S, reports.rate, .min = 1, .max = 6000, .def = "60", .help = "Reports sent in a minute."),
    INT_(S, reports.most, .min = 1, .max = 1e6, .def = "20000",
         .help = "Reports of a kind sent in a day; domains that come later get none."),
    STRS_(S, reports.exclude, .def = "",
          .help = "Domains that get no reports; .example.org: and all below it."),
    BOOL_(S, reports.recipient_domain, .def = "true",
          .help = "DMARC reports tell the recipients' domain (never their addresses), where it is "
                  "one."),
    STRS_(S, reports.inbox, .def = "",
          .help = "Addresses of ours that others send reports to (rua=): what comes there is read "
                  "and stored, and delivered as all mail is."),
    SIZE_(S, reports.size, .min = MIB, .max = 1024 * GIB, .def = "1GiB",
          .help =
              "With more than this in the store, reports of others are refused: anybody can send "
              "some."),
    TIME_(S, reports.keep, .min = 2 * DAY, .max = 3660 * DAY, .def = "90d",
          .help = "How long reports, and what ours are made of, are kept."),
};

#define L struct listener
static const struct setting listener_rows[] = {
    STR_(L, name, .def_note = "the profile",
         .help = "Name in logs, records and policies; each once."),
    STR_(L, address, .def = "127.0.0.1:25",
         .help = "Address and port: 192.0.2.1:25, [::]:25. For all but smtp also unix:/PATH."),
    ENUM_(L, listener_protocol, protocol, .choices = protocol_names, .def = "smtp",
          .help =
              "smtp: mail comes in here; milter: an MTA (Sendmail, Postfix) asks what to do with "
              "the mail that it gets; spamd: clients of SpamAssassin's daemon ask (spamc, Exim); "
              "rspamd: those of rspamd ask by HTTP (rspamc, Exim, Haraka); socketmap: an MTA asks "
              "map() of the policy script."),
    ENUM_(L, milter_hold, milter_hold, .choices = milter_hold_names, .def = "here",
          .help = "Where mail is held that came by milter: in this gateway's quarantine, or in the "
                  "MTA's."),
    STR_(L, socket_group, .def_note = "the gateway's group",
         .help = "Group that may connect to a Unix socket: the one that the MTA runs in."),
    ENUM_(L, profile, profile, .choices = profile_names, .def = "mx",
          .help = "mx: mail from anywhere for our domains; submission: our users, with a password; "
                  "relay: our networks."),
    ENUM_(L, tls_mode, tls, .choices = tls_mode_names,
          .def_note = "starttls with a certificate, else none",
          .help = "How TLS starts: never, on demand, or with the first byte."),
    BOOL_(L, require_tls, .def = "false", .help = "No mail without TLS."),
    BOOL_(L, require_auth, .def_note = "true for submission",
          .help = "No mail without a password."),
    CIDRS_(L, allow_from, .def = "", .def_note = "this host",
           .help = "With spamd, rspamd and socketmap: networks that may ask. Who reaches a Unix "
                   "socket may."),
    BOOL_(L, allow_tell, .def = "false",
          .help = "With spamd and rspamd: who may ask may teach, too (spamc -L and -C, rspamc "
                  "learn_spam). With a password rspamd's clients need that instead."),
    STR_(L, password, .def_note = "none",
         .help = "With rspamd: what clients must know to see the counters and to teach."),
    PATH_(L, httpcrypt_file, .def_note = "none",
          .help =
              "With rspamd: secret keys of its HTTPCrypt (rspamc --key), one a line: 64 "
              "hexadecimal digits, or the privkey of rspamadm keypair. The log tells the public "
              "ones."),
    CIDRS_(L, proxy_from, .def = "",
           .help = "Load balancers that send a PROXY header first (HAProxy's, v1 or v2)."),
    CIDRS_(L, xclient_from, .def = "", .help = "Peers that may speak for others by XCLIENT."),
    PATH_(L, certificate, .def_note = "tls.certificate", .help = "Its own certificate."),
    PATH_(L, key, .def_note = "tls.key", .help = "Its own key."),
};

const struct setting_table settings_table = {"setting", rows, COUNT(rows)};
const struct setting_table listener_table = {"listener setting", listener_rows,
                                             COUNT(listener_rows)};

const char *setting_type_text(enum setting_type t)
{
    static const char *const text[] = {
        [SET_BOOL] = "true or false",
        [SET_INT] = "a whole number",
        [SET_SIZE] = "a size such as 20MiB",
        [SET_DURATION] = "a duration such as 5m or 1h30m",
        [SET_NUMBER] = "a number",
        [SET_STRING] = "a text",
        [SET_TEXT] = "a text",
        [SET_PATH] = "a path",
        [SET_ENUM] = "a word",
        [SET_STRINGS] = "a list of texts",
        [SET_PATHS] = "a list of paths",
        [SET_CIDRS] = "a list of networks such as 192.0.2.0/24",
        [SET_DURATIONS] = "a list of durations such as [5m, 1h]",
        [SET_PATTERNS] = "a list of patterns such as '*.exe' or '/^invoice/i'",
        [SET_RANGE] = "a comparison such as '>= 5', '< 3' or '5..10'",
        [SET_SIZES] = "a comparison such as '> 10MiB' or '1KiB..20MiB'",
        [SET_SECTION] = "a section",
        [SET_HEADERS] = "names of header fields with patterns, true or false",
        [SET_ACTIONS] = "a list of actions such as [hold, {subject_prefix: '[EXT] '}]",
    };
    return text[t];
}

bool setting_is_list(enum setting_type t)
{
    return t >= SET_STRINGS && t <= SET_PATTERNS;
}

const struct setting *setting_find(const struct setting_table *t, struct span name)
{
    for (size_t i = 0; i < t->n; i++)
        if (span_eq(span_str(t->rows[i].name), name))
            return &t->rows[i];
    return NULL;
}

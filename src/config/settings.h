/* All settings, typed, with their defaults filled in. One struct, read-only after settings_load.
 *
 * The YAML names are the field names; config/table.c holds one row per setting (name, type, unit,
 * range, default, sentence), from which the reader, `gatehouse check --print-defaults` and the
 * manual are made. Strings and lists live in `arena` and stay until settings_free. Sizes are bytes,
 * times are microseconds (usec), addresses are checked at load.
 */
#ifndef GATEHOUSE_CONFIG_SETTINGS_H
#define GATEHOUSE_CONFIG_SETTINGS_H

#include "base/arena.h"
#include "base/err.h"
#include "config/policy.h"
#include "config/wall.h"

enum profile { PROFILE_MX, PROFILE_SUBMISSION, PROFILE_RELAY };
enum tls_mode { TLS_MODE_NONE, TLS_MODE_STARTTLS, TLS_MODE_IMPLICIT };
enum listener_protocol {
    LISTEN_SMTP,
    LISTEN_MILTER,
    LISTEN_SPAMD,
    LISTEN_RSPAMD,
    LISTEN_SOCKETMAP
};
enum milter_hold { MILTER_HOLD_HERE, MILTER_HOLD_MTA };
/* When what the access map says against client and sender is told (Sendmail's delay_checks). */
enum access_delay { ACCESS_DELAY_NO, ACCESS_DELAY_YES, ACCESS_DELAY_FRIEND, ACCESS_DELAY_HATER };

enum line_endings { LINES_REFUSE, LINES_NORMALISE }; /* bare CR or LF in message data */

struct listener {
    const char *name;
    const char *address; /* "127.0.0.1:25", "[::]:25"; milter also "unix:/path" */
    enum listener_protocol protocol;
    enum milter_hold milter_hold; /* who keeps what is held */
    const char *socket_group;     /* of a Unix socket; NULL: processes.group */
    enum profile profile;
    enum tls_mode tls;
    bool require_tls;
    bool require_auth;             /* submission: true by default */
    struct cidrs allow_from;       /* spamd, rspamd, socketmap: who may ask; empty: loopback */
    bool allow_tell;               /* spamd, rspamd: who may ask may teach */
    const char *password;          /* rspamd: for counters and learning; NULL: none */
    const char *httpcrypt_file;    /* rspamd: secret keys, one a line; NULL: none */
    struct cidrs proxy_from;       /* peers that must send a PROXY header */
    struct cidrs xclient_from;     /* peers that may say XCLIENT */
    const char *certificate, *key; /* override tls.certificate, tls.key */
};

struct tls_settings {
    const char *certificate, *key; /* PEM; NULL: no TLS offered */
    const char *min_version;       /* "1.2" */
    const char *ciphers;           /* OpenSSL list for TLS 1.2; NULL: OpenSSL's */
    const char *authorities;       /* PEM; whose certificates are trusted; NULL: the system's */
};

struct limits {
    uint64_t message_size, header_bytes;
    uint64_t recipients, errors, commands, transactions;
    uint64_t sessions, sessions_per_address;
    usec command_timeout, data_timeout, session_time;
    uint64_t line_length;    /* a command line, bytes */
    uint64_t bdat_chunks;    /* in one message */
    uint64_t received_hops;  /* Received headers before the message counts as looping */
    uint64_t message_memory; /* arena of one message in a scanner */
    usec scan_time;          /* a scanner that takes longer is killed; the message gets a 4xx */
    uint64_t mime_parts, mime_depth, mime_headers; /* headers: in one header block */
    uint64_t poison_crashes; /* a message that kills this many scanners is held */
};

struct relay_settings {
    struct strings domains;   /* recipients in these domains are ours */
    const char *domains_file; /* one domain a line; reloaded when it changes */
    struct cidrs networks;    /* clients that may send anywhere */
};

enum recipient_check { RCPT_ANY, RCPT_LIST, RCPT_CALLOUT };
struct recipient_settings {
    enum recipient_check check;
    const char *file; /* one address (or @domain) a line, optional second word OK or ERROR:... */
    usec callout_positive, callout_negative, callout_timeout;
    uint64_t callout_cache; /* entries */
};

struct auth_settings {
    const char
        *users_file; /* user:hash a line (crypt(3): yescrypt, bcrypt, SHA-512; or $argon2id$) */
    const char *dovecot_socket; /* Dovecot's auth-client socket */
    bool plaintext;             /* allow AUTH without TLS (loopback tests) */
};

struct rules_settings {
    struct strings dirs;  /* empty: where SpamAssassin looks (semantics 2.1) */
    const char *site_dir; /* /etc/spamassassin; NULL: none */
    bool enabled;
    bool network; /* rules that ask the DNS run */
    double required_score, reject_score;
    uint64_t match_limit, depth_limit; /* PCRE2, for one match */
    uint64_t message_size;             /* larger messages are judged by their first bytes */
    struct strings trusted_networks, internal_networks, msa_networks; /* SpamAssassin's syntax */
};

/* What happens when a check can't give its answer. */
enum on_fail { FAIL_DEFER, FAIL_HOLD, FAIL_PASS }; /* pass: delivered, marked as unscanned */

/* Preferences of users and domains (prefs/prefs.h). */
struct preferences_settings {
    struct strings files; /* patterns with %u %l %d %x */
    bool sql;             /* ask the database of user_scores_dsn */
    usec sql_timeout, sql_keep;
    uint64_t memory; /* bytes kept by each scanner */
};

struct virus_settings {
    bool enabled;
    struct strings clamd; /* "unix:/run/clamav/clamd.ctl", "127.0.0.1:3310"; tried in order */
    bool embedded;        /* libclamav in a process of its own when no clamd answers */
    const char *database; /* signatures of the embedded engine; its absence means no engine */
    usec connect_timeout, scan_timeout, probe_interval;
    uint64_t max_size;         /* larger messages count as too_large */
    enum on_fail on_error;     /* engine configured, but none answers */
    enum on_fail on_no_engine; /* none configured and no database */
    enum on_fail on_too_large;
    enum on_fail on_encrypted; /* encrypted archives, when the engine reports them */
};

struct route_settings {
    const char *file; /* mailertable form */
    const char
        *fallback; /* "smtp:[127.0.0.1]:2526", "lmtp:/run/dovecot/lmtp", "maildir:PATH", "mx" */
};

enum deliver_tls { DTLS_NONE, DTLS_MAY, DTLS_REQUIRED };
struct queue_settings {
    bool after_queue;   /* scan after the queue instead of before */
    struct usecs retry; /* waits before each try; the last one repeats; never empty */
    usec lifetime, delay_warning;
    uint64_t concurrency_total, concurrency_destination, recipients_per_delivery;
    usec connect_timeout, command_timeout, data_timeout, idle_timeout;
    uint64_t reuse; /* messages on one connection */
    enum deliver_tls tls;
    bool dane;               /* RFC 7672 */
    bool mta_sts;            /* RFC 8461 */
    uint64_t segment_size;   /* bytes of one journal segment */
    uint64_t minimum_free;   /* spool bytes below which new mail gets 452 */
    usec commit_delay;       /* how long a commit waits for company */
    const char *helo;        /* NULL: hostname */
    const char *bounce_from; /* postmaster@hostname */
    bool bounce;             /* false: failures are held instead of reported to the sender */
};

struct quarantine_settings {
    usec keep;
    const char *link_url; /* "https://mail.example.org/held/_ID_"; NULL: no place to look at them */
};

struct record_settings {
    usec keep;
    usec batch; /* how long records are gathered into one transaction */
};

struct process_settings {
    uint64_t scanners; /* 0: one a core */
    uint64_t window;   /* messages in the hands of one scanner; more wait */
    const char *user;  /* become this user when started as root; NULL: stay */
    const char *group; /* NULL: the user's */
    bool confine;      /* Landlock and seccomp */
};

/* Who sent a message: what is checked, and what follows from it. */
struct authentication_settings {
    bool enabled;
    const char *authserv_id; /* in Authentication-Results; NULL: hostname */
    bool results_header;     /* write Authentication-Results */
    bool received_spf;       /* write Received-SPF */
};

struct spf_settings {
    bool enabled;
    enum outcome on_fail;
    bool pra; /* check the purported responsible address too (RFC 4407) */
};

enum dmarc_method { DMARC_TREE, DMARC_SUFFIX };
struct dmarc_settings {
    bool enabled;
    enum dmarc_method method;
    enum outcome on_reject,
        on_quarantine;        /* the author's domain asks for it, and the message fails */
    enum outcome on_bad_from; /* readers can differ about who the author is */
};

struct dns_settings {
    uint64_t message_questions; /* for the rules and the authentication of one message */
    usec message_time;          /* how long a message waits for their answers */
    struct strings servers; /* "127.0.0.1", "192.0.2.1@5353"; empty: those of /etc/resolv.conf */
    bool recursive;         /* ask the root servers ourselves */
    struct strings
        zones; /* "rbl.example 127.0.0.1@5300": zones with authoritative servers of their own */
    struct strings local_data; /* records as in a zone file: answered without asking anybody */
    bool dnssec;               /* validate */
    const char *trust_anchor;  /* file with the root's key; NULL: the system's */
    usec timeout;              /* of one question with all that follows from it */
    bool client_names;         /* ask for the name of each client before it is greeted */
};

enum dkim_canonicalisation {
    DKIM_RELAXED_RELAXED,
    DKIM_RELAXED_SIMPLE,
    DKIM_SIMPLE_RELAXED,
    DKIM_SIMPLE_SIMPLE
};

struct dkim_settings {
    uint64_t minimum_bits; /* of an RSA key */
    bool accept_sha1;
    struct strings sign; /* "example.org", ".example.org", "example.org SELECTOR FILE" */
    const char *keys;    /* directory of keys, one directory a domain (auth/signer.h) */
    struct strings headers, oversign;
    enum dkim_canonicalisation canonicalisation;
    usec expire; /* 0: signatures hold without end */
    enum on_fail on_sign_error;
};

struct srs_settings {
    const char *domain;   /* of rewritten senders; NULL: senders stay */
    const char *key_file; /* auth/keyfile.h */
    usec lifetime;
    struct strings exempt_recipients; /* as in policies: they get senders as they are */
};

enum batv_action { BATV_FACT, BATV_REJECT };

struct batv_settings {
    struct strings domains; /* "example.org", ".example.org" */
    const char *key_file;   /* auth/keyfile.h */
    usec lifetime;
    enum batv_action on_invalid;      /* bounces without a tag, or with a wrong one */
    struct strings exempt_recipients; /* patterns: they get all bounces */
    struct strings unsigned_to;       /* patterns: they get senders as they are */
};

struct hashcash_settings {
    struct strings accept; /* resources of ours beside the recipients: address, @domain */
};

enum arc_seal { ARC_SEAL_NEVER, ARC_SEAL_MODIFIED, ARC_SEAL_ALWAYS };

struct arc_settings {
    struct strings trusted_sealers; /* domains whose word about mail they forward is taken */
    enum arc_seal seal;
    const char *domain; /* whose keys seal; NULL: none */
};

struct wall_settings {
    bool enabled;
    struct cidrs exempt_clients;
    struct strings exempt_names;      /* of clients: host.example, .example (and below) */
    struct strings exempt_recipients; /* as in policies */
    const char *asn_database;         /* MaxMind's format; NULL: the ASN of clients is not known */
    enum wall_refuse refuse;
    usec greet_wait;
    const char *teaser; /* NULL: none */
    enum wall_action on_pregreet;
    usec pass_greet, pass_lists;
    struct strings dns_lists, helo_lists, sender_lists;
    double reject_score, allow_score;
    usec list_timeout, list_test;
    enum wall_action on_helo_invalid, on_helo_ours, on_helo_unknown, on_no_name;
    enum wall_action on_sender_unknown, on_sender_mx;
};

struct greylist_settings {
    enum greylist_mode mode;
    usec delay, retry_window, pass_time;
    uint64_t auto_pass; /* proven triples after which the network passes; 0: never */
    bool helo;          /* the name given in HELO belongs to the triple */
    bool spf;           /* SPF pass: the sender's domain stands for the network */
    uint64_t ipv4_bits, ipv6_bits;
    double score_from, score_to;
};

struct rate_settings {
    struct strings limits; /* rate_spec_parse */
    usec stop_time;        /* how long a stopped user stays stopped; 0: until released */
};

struct reputation_settings {
    bool enabled;
    usec half_life;
    double bad;       /* from here on on_bad is done; -1 to 1 */
    uint64_t minimum; /* messages known, decayed */
    enum wall_action on_bad;
};

struct learn_settings {
    uint64_t size;  /* bytes */
    bool automatic; /* auto-learning */
    bool users;     /* each has a part of its own */
};

struct state_settings {
    uint64_t size; /* bytes, of each file */
};

/* Reports about mail: of ours to others, of others to us (reports/). */
struct report_settings {
    bool dmarc, tls;  /* sent once a day */
    const char *from; /* their author and envelope sender */
    const char *organisation;
    const char *contact;    /* where to ask about them; NULL: nothing is told */
    usec at;                /* after midnight UTC */
    uint64_t rate;          /* mails a minute */
    uint64_t most;          /* mails a day, of each kind */
    struct strings exclude; /* domains that get none, and all below them */
    bool recipient_domain;  /* told in DMARC reports */
    struct strings inbox;   /* addresses of ours that get reports of others */
    uint64_t size;          /* bytes of the store from which on those of others are refused */
    usec keep;
};

/* Services that count messages by digests (room digests). Each is off until its servers are set. */
struct pyzor_settings {
    struct strings servers; /* HOST:PORT */
    const char *accounts;   /* Pyzor's accounts file; NULL: anonymous */
    usec timeout;
    uint64_t max_size;
    enum on_fail on_error;
};

struct dcc_settings {
    const char *dccifd; /* "unix:/var/dcc/dccifd", HOST:PORT; NULL: off */
    bool query;         /* ask without counting */
    usec timeout;
    uint64_t max_size;
    enum on_fail on_error;
};

struct razor_settings {
    struct strings servers;   /* catalogue servers, HOST:PORT; tried in order */
    struct strings reporting; /* nomination servers */
    const char *discovery;    /* who names them when `servers` is empty; NULL: nobody */
    const char *min_cf;       /* "ac", "ac+N", "ac-N", "N" */
    const char *identity;     /* file with user= and pass= */
    usec timeout;
    uint64_t max_size;
    enum on_fail on_error;
};

struct spamcop_settings {
    const char *from, *to, *relay;
    uint64_t max_size;
};

struct log_settings {
    const char *target; /* stderr, syslog, journald, or a file */
    bool json;
    const char *level; /* error, warn, info, debug */
};

struct path_settings {
    const char *state, *spool, *cache, *run;
};

struct marks;

struct settings {
    struct arena *arena;
    const struct marks *marks; /* where in the file each setting stands */
    const char *file;          /* where it was read; NULL: built-in defaults */
    const char *hostname;
    const char *banner; /* text after the host name in the 220 line */
    enum line_endings line_endings;
    struct path_settings paths;
    struct process_settings processes;
    struct log_settings log;
    struct {
        struct listener *v;
        size_t n;
    } listeners;
    struct tls_settings tls;
    struct limits limits;
    struct relay_settings relay;
    struct recipient_settings recipients;
    const char *access_file; /* Sendmail's access map, text form */
    enum access_delay access_delay;
    struct auth_settings auth;
    struct rules_settings rules;
    struct preferences_settings preferences;
    struct virus_settings virus;
    struct policies policies;
    struct route_settings routes;
    struct queue_settings queue;
    struct quarantine_settings quarantine;
    struct record_settings record;
    struct dns_settings dns;
    struct dkim_settings dkim;
    struct srs_settings srs;
    struct batv_settings batv;
    struct arc_settings arc;
    struct hashcash_settings hashcash;
    struct pyzor_settings pyzor;
    struct dcc_settings dcc;
    struct razor_settings razor;
    struct spamcop_settings spamcop;
    struct wall_settings wall;
    struct greylist_settings greylist;
    struct rate_settings rates;
    struct reputation_settings reputation;
    struct learn_settings learn;
    struct state_settings state;
    struct authentication_settings authentication;
    struct spf_settings spf;
    struct dmarc_settings dmarc;
    struct report_settings reports;
};

/* Reads a YAML file; NULL means built-in defaults alone. Unknown keys, wrong types and bad values
 * are errors with file:line:column and the nearest valid name. Returns NULL and fills e on failure.
 */
struct settings *settings_load(const char *file, struct err *e);
void settings_free(struct settings *s);

/* Everything that is wrong, in order of lines. A zeroed struct is empty; free with
 * settings_problems_free. */
struct settings_problem {
    unsigned line, column; /* 0: the file as a whole */
    const char *text;      /* "FILE:LINE:COLUMN: what, and the remedy" */
};
struct settings_problems {
    struct arena *arena;
    struct settings_problem *v;
    size_t n, cap;
};
void settings_problems_free(struct settings_problems *p);

/* Where the file has a setting ("policies[2].do[0]"), or the nearest one around it, counted from 1;
 * false: it is not from a file. */
bool settings_place(const struct settings *s, const char *name, unsigned *line, unsigned *column);

/* As settings_load, with all problems instead of the first. NULL when there is any. */
struct settings *settings_load_all(const char *file, struct settings_problems *out);

/* Looks at the files that settings name (certificates, maps, users, rule directories) and at the
 * user to become: what is missing or unreadable is added to out. For serve and check; commands that
 * only read settings need no access to keys. Returns how many were added. */
size_t settings_check_files(const struct settings *s, struct settings_problems *out);

#endif

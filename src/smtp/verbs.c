/* The commands: one row each. */
#include "smtp/session_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"

enum {
    IN_START = 1 << SMTP_START,
    IN_READY = 1 << SMTP_READY,
    IN_MAIL = 1 << SMTP_MAIL,
    IN_RCPT = 1 << SMTP_RCPT,
    IN_CHUNKS = 1 << SMTP_CHUNKS,
    GREETED = IN_READY | IN_MAIL | IN_RCPT | IN_CHUNKS,
    ANY = IN_START | GREETED
};
enum {
    NO_ARG = 1,   /* an argument is an error */
    LAST = 2,     /* last of a pipelined group: input behind it was sent too early (RFC 2920) */
    PLAIN_OK = 4, /* allowed where TLS is required and not yet there (RFC 3207 section 4) */
    AUTH_OK = 8   /* allowed where authentication is required and not yet there */
};

struct verb {
    const char *name;
    unsigned states;
    enum reply_id wrong_state;
    unsigned flags;
    void (*act)(struct smtp_session *s, struct span arg);
};

/* ---- HELO, EHLO ---- */

/* RFC 5321 wants a domain or an address literal; real clients say what they like. What could be
 * read as a comment or an address later on is refused. */
static bool helo_fine(struct span name)
{
    if (name.n == 0 || name.n > SMTP_HELO_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= ' ' || (unsigned char)name.p[i] >= 0x7f ||
            strchr("()<>\"\\,;@", name.p[i]))
            return false;
    return true;
}

/* Who was greeted before and is not greeted now must say it again. */
static void greet(struct smtp_session *s, struct span arg, bool esmtp)
{
    if (!helo_fine(arg)) {
        session_reply(s, R_BAD_HELO, NULL);
        return;
    }
    session_reset(s);
    s->state = SMTP_START;
    s->esmtp = esmtp;
    s->wait = WAIT_HELO;
    s->host->helo(s->ctx, arg, esmtp);
}

static void do_helo(struct smtp_session *s, struct span arg)
{
    greet(s, arg, false);
}

static void do_ehlo(struct smtp_session *s, struct span arg)
{
    greet(s, arg, true);
}

void session_offer(const struct smtp_session *s, struct buf *b)
{
    const struct smtp_policy *p = s->policy;
    char size[40];
    snprintf(size, sizeof size, "SIZE %llu", (unsigned long long)s->limits->message_size);
    bool auth = p->auth_offered && (s->secure || p->auth_plaintext);
    const struct {
        bool on;
        const char *text;
    } lines[] = {
        {true, p->hostname},
        {true, "PIPELINING"},
        {true, size},
        {true, "8BITMIME"},
        {true, "SMTPUTF8"},
        {true, "CHUNKING"},
        {true, "DSN"},
        {p->tls_offered && !s->secure, "STARTTLS"},
        {auth && !s->authenticated, "AUTH PLAIN LOGIN"},
        {p->xclient, "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"},
        {true, "ENHANCEDSTATUSCODES"},
    };
    size_t n = sizeof lines / sizeof *lines;
    for (size_t i = 0; i < n; i++)
        if (lines[i].on)
            reply_line(b, 250, i == n - 1, span_str(lines[i].text));
}

/* ---- MAIL, RCPT ---- */

/* Cuts "FROM:" or "TO:" off; spaces around it are not in the RFC, but in the world. */
static bool skip_word(struct span *arg, struct span word)
{
    *arg = span_trim(*arg);
    if (!span_istarts(*arg, word))
        return false;
    *arg = span_trim(span_from(*arg, word.n));
    return true;
}

/* What follows the path is nothing, or begins with a space. */
static bool ends_well(struct span rest)
{
    return rest.n == 0 || rest.p[0] == ' ';
}

static void refuse_path(struct smtp_session *s, enum path_error e, enum reply_id syntax)
{
    session_reply(s, e == PATH_UTF8 ? R_BAD_UTF8 : syntax, NULL);
}

static bool params_fine(struct smtp_session *s, enum param_status status, const char *name)
{
    if (status == PARAM_OK)
        return true;
    session_reply(s, status == PARAM_BAD ? R_BAD_PARAM : R_UNKNOWN_PARAM, name);
    return false;
}

static void do_mail(struct smtp_session *s, struct span arg)
{
    if (s->transactions >= s->limits->transactions) {
        session_reply(s, R_TOO_MANY_MAILS, NULL);
        return;
    }
    struct smtp_path path;
    struct mail_params params;
    char name[PARAM_NAME_SIZE];
    if (!skip_word(&arg, SPAN("FROM:"))) {
        session_reply(s, R_SYNTAX, NULL);
        return;
    }
    enum path_error e = path_parse(&arg, s->esmtp, &path);
    if (e != PATH_OK || !ends_well(arg)) {
        refuse_path(s, e, R_BAD_SENDER_SYNTAX);
        return;
    }
    if (!s->esmtp && span_trim(arg).n > 0) {
        session_reply(s, R_SYNTAX, NULL);
        return;
    }
    if (!params_fine(s, mail_params_parse(arg, s->policy->auth_offered, &params, name), name))
        return;
    if (path.non_ascii && !params.smtputf8) {
        session_reply(s, R_BAD_UTF8, NULL);
        return;
    }
    if (params.has_size && params.size > s->limits->message_size) {
        snprintf(name, sizeof name, "%llu", (unsigned long long)s->limits->message_size);
        session_reply(s, R_TOO_BIG, name);
        return;
    }
    s->smtputf8 = params.smtputf8;
    s->wait = WAIT_MAIL;
    s->host->mail(s->ctx, &path, &params);
}

static void do_rcpt(struct smtp_session *s, struct span arg)
{
    struct smtp_path path;
    struct rcpt_params params;
    char name[PARAM_NAME_SIZE];
    if (!skip_word(&arg, SPAN("TO:"))) {
        session_reply(s, R_SYNTAX, NULL);
        return;
    }
    enum path_error e = path_parse(&arg, s->smtputf8, &path);
    if (e != PATH_OK || path.null || !ends_well(arg)) {
        refuse_path(s, e, R_BAD_ADDRESS_SYNTAX);
        return;
    }
    if (!s->esmtp && span_trim(arg).n > 0) {
        session_reply(s, R_SYNTAX, NULL);
        return;
    }
    if (!params_fine(s, rcpt_params_parse(arg, s->smtputf8, &params, name), name))
        return;
    if (s->rcpts >= s->limits->recipients) {
        session_reply(s, R_TOO_MANY_RCPTS, NULL);
        return;
    }
    s->wait = WAIT_RCPT;
    s->host->rcpt(s->ctx, &path, &params);
}

/* ---- DATA, BDAT ---- */

static void do_data(struct smtp_session *s, struct span arg)
{
    (void)arg;
    content_data(s);
}

/* ---- the small ones ---- */

static void do_rset(struct smtp_session *s, struct span arg)
{
    (void)arg;
    session_reset(s);
    session_reply(s, R_RESET, NULL);
    if (s->leaving)
        session_reply(s, R_SHUTDOWN, NULL);
}

static void do_noop(struct smtp_session *s, struct span arg)
{
    (void)arg;
    session_reply(s, R_NOOP, NULL);
}

static void do_help(struct smtp_session *s, struct span arg)
{
    (void)arg;
    session_reply(s, R_HELP, NULL);
}

/* RFC 5321 section 3.5.3: whether the mailbox exists is not for strangers to know. */
static void do_vrfy(struct smtp_session *s, struct span arg)
{
    session_reply(s, arg.n > 0 ? R_VRFY : R_SYNTAX, NULL);
}

static void do_not(struct smtp_session *s, struct span arg)
{
    (void)arg;
    session_reply(s, R_NOT_IMPLEMENTED, NULL);
}

static void do_quit(struct smtp_session *s, struct span arg)
{
    (void)arg;
    session_reply(s, R_BYE, NULL);
    session_close(s);
}

static void do_starttls(struct smtp_session *s, struct span arg)
{
    (void)arg;
    if (!s->policy->tls_offered && !s->secure) {
        session_reply(s, R_TLS_NONE, NULL);
        return;
    }
    if (s->secure) {
        session_reply(s, R_TLS_TWICE, NULL);
        return;
    }
    session_reply(s, R_TLS_GO, NULL);
    s->wait = WAIT_TLS;
    s->host->starttls(s->ctx);
}

static void do_xclient(struct smtp_session *s, struct span arg)
{
    if (!s->policy->xclient) {
        session_reply(s, R_XCLIENT_DENIED, NULL);
        return;
    }
    struct xclient *x = xmalloc(sizeof *x);
    if (!xclient_parse(arg, x)) {
        session_reply(s, R_SYNTAX, NULL);
    } else {
        session_reset(s);
        s->state = SMTP_START;
        s->esmtp = false;
        s->authenticated = x->login.n > 0;
        s->host->xclient(s->ctx, x);
        smtp_greet(s);
    }
    free(x);
}

/* ---- AUTH ---- */

static void auth_step(struct smtp_session *s, struct span line)
{
    switch (sasl_take(s->sasl, line)) {
    case SASL_MORE:
        session_reply(s, R_AUTH_GO, sasl_prompt(s->sasl));
        return;
    case SASL_DONE: {
        struct sasl *done = s->sasl;
        s->sasl = NULL;
        s->wait = WAIT_AUTH;
        s->host->auth(s->ctx, done->user, done->password, done->password_n);
        sasl_wipe(done);
        free(done);
        return;
    }
    case SASL_CANCELLED:
        session_reset(s);
        session_reply(s, R_AUTH_CANCELLED, NULL);
        return;
    case SASL_BAD:
        session_reset(s);
        session_reply(s, R_AUTH_SYNTAX, NULL);
        return;
    }
}

void session_auth_line(struct smtp_session *s, struct span line)
{
    auth_step(s, line);
}

static void do_auth(struct smtp_session *s, struct span arg)
{
    if (!s->policy->auth_offered) {
        session_reply(s, R_NOT_IMPLEMENTED, NULL);
        return;
    }
    if (!s->secure && !s->policy->auth_plaintext) {
        session_reply(s, R_AUTH_NEEDS_TLS, NULL);
        return;
    }
    if (s->authenticated) {
        session_reply(s, R_AUTH_TWICE, NULL);
        return;
    }
    struct span mechanism = span_word(&arg, " ");
    struct sasl *sasl = xmalloc(sizeof *sasl);
    if (!sasl_begin(sasl, mechanism)) {
        free(sasl);
        session_reply(s, mechanism.n ? R_AUTH_MECHANISM : R_SYNTAX, NULL);
        return;
    }
    s->sasl = sasl;
    arg = span_trim(arg);
    if (arg.n > 0)
        auth_step(s, arg);
    else
        session_reply(s, R_AUTH_GO, sasl_prompt(sasl));
}

/* ---- the table ---- */

static const struct verb verbs[] = {
    {"MAIL", IN_READY, R_NESTED_MAIL, 0, do_mail},
    {"RCPT", IN_MAIL | IN_RCPT, R_MAIL_FIRST, 0, do_rcpt},
    {"DATA", IN_RCPT, R_RCPT_FIRST, NO_ARG | LAST, do_data},
    {"BDAT", ANY, R_NO_TRANSACTION, 0, content_chunk},
    {"EHLO", ANY, R_UNKNOWN, LAST | PLAIN_OK | AUTH_OK, do_ehlo},
    {"HELO", ANY, R_UNKNOWN, LAST | AUTH_OK, do_helo},
    {"RSET", ANY, R_UNKNOWN, NO_ARG | AUTH_OK, do_rset},
    {"NOOP", ANY, R_UNKNOWN, PLAIN_OK | AUTH_OK, do_noop},
    {"QUIT", ANY, R_UNKNOWN, NO_ARG | PLAIN_OK | AUTH_OK, do_quit},
    {"HELP", ANY, R_UNKNOWN, AUTH_OK, do_help},
    {"VRFY", GREETED, R_HELO_FIRST, 0, do_vrfy},
    {"EXPN", ANY, R_UNKNOWN, 0, do_not},
    {"ETRN", ANY, R_UNKNOWN, 0, do_not},
    {"TURN", ANY, R_UNKNOWN, 0, do_not},
    {"STARTTLS", IN_READY, R_TLS_TWICE, NO_ARG | PLAIN_OK | AUTH_OK, do_starttls},
    {"AUTH", IN_READY, R_AUTH_TWICE, LAST | AUTH_OK, do_auth},
    {"XCLIENT", IN_START | IN_READY, R_NESTED_MAIL, LAST | AUTH_OK, do_xclient},
};

static const struct verb *find_verb(struct span word)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (span_ieq(word, span_str(verbs[i].name)))
            return &verbs[i];
    return NULL;
}

/* A browser, a bot, or mail content where commands should be: Sendmail's and Postfix's list. */
static bool other_language(struct span word)
{
    static const char *const words[] = {"GET",     "POST",    "HEAD",  "PUT", "DELETE",
                                        "OPTIONS", "CONNECT", "TRACE", "PRI", "HTTP"};
    if (word.n > 1 && word.p[word.n - 1] == ':')
        return true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_ieq(word, span_str(words[i])))
            return true;
    return false;
}

static enum reply_id wrong_state(const struct smtp_session *s, const struct verb *v)
{
    if (s->state == SMTP_START)
        return R_HELO_FIRST;
    if (s->state == SMTP_CHUNKS)
        return R_BDAT_MIXED;
    if (v->wrong_state == R_RCPT_FIRST && s->state == SMTP_READY)
        return R_MAIL_FIRST;
    return v->wrong_state;
}

void session_command(struct smtp_session *s, struct span line, bool more)
{
    if (++s->commands > s->limits->commands) {
        session_reply(s, R_TOO_MANY_COMMANDS, NULL);
        return;
    }
    struct span arg = line;
    struct span word = span_sub(line, 0, span_find(line, ' '));
    arg = span_trim(span_from(line, word.n));
    const struct verb *v = find_verb(word);
    if (!v) {
        session_reply(s, other_language(word) ? R_NOT_SMTP : R_UNKNOWN, NULL);
        return;
    }
    enum reply_id no = R_GREETING;
    if (more && v->flags & LAST)
        no = R_TOO_EARLY;
    else if (s->policy->tls_required && !s->secure && !(v->flags & PLAIN_OK))
        no = R_NEED_TLS;
    else if (s->policy->auth_required && !s->authenticated && !(v->flags & AUTH_OK))
        no = R_NEED_AUTH;
    else if (!(v->states & 1u << s->state))
        no = wrong_state(s, v);
    else if (v->flags & NO_ARG && arg.n > 0)
        no = R_SYNTAX;
    /* The bytes behind BDAT are on their way, whatever we think of it (RFC 3030 section 2). */
    if (no != R_GREETING && v->act != content_chunk)
        session_reply(s, no, NULL);
    else if (no != R_GREETING) {
        s->refused = no;
        content_chunk(s, arg);
    } else
        v->act(s, arg);
}

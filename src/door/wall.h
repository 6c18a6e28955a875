/* How sessions meet the wall: who is a guest and who is exempt, what is counted, when a recipient
 * is refused or put off. */
#ifndef GATEHOUSE_DOOR_WALL_H
#define GATEHOUSE_DOOR_WALL_H

#include "door/guest.h"

struct conn;
struct txn;
struct smtp_path;

void wall_open(struct door *d);
/* wall_stop before the DNS is closed, wall_close after that. */
void wall_stop(struct door *d);
void wall_close(struct door *d);
void wall_tick(struct door *d);

/* Why nothing is asked about a client, or NULL: it is a guest. name: NULL when not known (yet). */
const char *wall_exempt(const struct door *d, const struct ip *ip, const char *name);

/* The client's address is known: counts it, makes it a guest when it is one. false: the session was
 * refused. greet: a greeting is to come, which may be held back. */
bool wall_meet(struct conn *c, bool greet);
/* Its name is known, or there is none. */
void wall_named(struct conn *c, enum dns_status st);
/* Whether the greeting must wait. */
bool wall_holds_greeting(const struct conn *c);
/* The greeting is due: refuses the session (false) or remembers that it passed. */
bool wall_greets(struct conn *c);
void wall_leave(struct conn *c);

/* MAIL is about to be accepted: counts the message, starts what is asked about the sender. Answers
 * it, now or later. */
void wall_mail(struct conn *c, const struct smtp_path *from);
/* c->txn->pending is a recipient that is ours or may be relayed: it is refused, put off, or goes on
 * with rcpt_admit, now or later. */
void wall_rcpt(struct conn *c);
/* wall.exempt_recipients: the recipient wants what the wall would refuse. */
bool wall_wanted_by(const struct door *d, struct span addr);
/* A recipient that does not exist. */
void wall_bad_rcpt(struct conn *c);
/* The content is complete: passage_begin follows, at once or when what is being asked about the
 * client was answered (at most WALL_FACTS_MS later). */
enum { WALL_FACTS_MS = 2000 };
void wall_content(struct conn *c);
/* The facts go into the scan request. */
void wall_facts(struct txn *t);
/* The verdict is there, nothing is promised: whether the message has to come again
 * (t->wait_reply says so to the sender). */
bool wall_waits(struct txn *t);
/* Remembers the verdict about the client. */
void wall_learn(const struct txn *t);

/* ---- grey.c ---- */

/* Starts SPF for the sender when greylisting wants it. */
void wall_spf_start(struct guest *g, const struct smtp_path *from);
void wall_spf_gone(struct guest *g);
void wall_spf_close(struct door *d);
/* NULL: passes; else the reply. */
struct span wall_grey_rcpt(struct conn *c);
struct span wall_grey_doubtful(struct txn *t);

#endif

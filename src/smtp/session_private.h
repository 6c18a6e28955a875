/* What session.c, verbs.c and content.c share. */
#ifndef GATEHOUSE_SMTP_SESSION_PRIVATE_H
#define GATEHOUSE_SMTP_SESSION_PRIVATE_H

#include "smtp/session.h"

/* Sends a reply from the table; counts it when it is an error, and closes after 421 and 554 5.5.0.
 */
void session_reply(struct smtp_session *s, enum reply_id id, const char *detail);
void session_close(struct smtp_session *s);
/* Forgets the transaction. */
void session_reset(struct smtp_session *s);

/* One command line without its line end; more: input is already waiting behind it. */
void session_command(struct smtp_session *s, struct span line, bool more);
/* What EHLO is answered with. */
void session_offer(const struct smtp_session *s, struct buf *b);
/* A line of the AUTH dialogue. */
void session_auth_line(struct smtp_session *s, struct span line);

void content_data(struct smtp_session *s);
void content_chunk(struct smtp_session *s, struct span arg);
/* Message bytes; returns how many were consumed. */
size_t content_feed(struct smtp_session *s, struct span in);

#endif

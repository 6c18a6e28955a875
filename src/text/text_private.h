/* Shared by the files of this room. */
#ifndef GATEHOUSE_TEXT_TEXT_PRIVATE_H
#define GATEHOUSE_TEXT_TEXT_PRIVATE_H

#include "text/text.h"

enum text_which { TEXT_ALL, TEXT_VISIBLE, TEXT_INVISIBLE };

enum {
    TEXT_LINE_MAX = 2048, /* bytes; SpamAssassin's MAX_BODY_LINE_LENGTH */
    TEXT_CUT_SLACK = 1024 /* how far behind a limit a line end or blank is looked for */
};

/* lines.c */
struct lines text_lines(struct text *t, enum text_which which);
/* rawbody.c */
void text_rawbody(struct text *t, struct mime *m, size_t limit);
/* links.c */
void text_find_uris(struct text *t, struct mime *m, const struct uri_tables *tables, bool dkim);

#endif

/* The record of one message, for people and for programs. */
#ifndef GATEHOUSE_CLI_STORY_H
#define GATEHOUSE_CLI_STORY_H

#include "record/record.h"

#include <stdio.h>

void story_print(FILE *out, const struct record_told *t);
/* One object: the receipt, with "groups" (as recorded, with the replies) and "events". */
void story_json(FILE *out, const struct record_told *t);

#endif

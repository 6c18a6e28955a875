/* The text maps that settings name: each line that would be ignored. */
#ifndef GATEHOUSE_CLI_CHECK_MAPS_H
#define GATEHOUSE_CLI_CHECK_MAPS_H

#include "config/settings.h"

/* report gets "file:line: text". */
void check_maps(const struct settings *s, void (*report)(void *ctx, const char *text), void *ctx);

#endif

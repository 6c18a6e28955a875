/* The tables of settings as text for people. */
#ifndef GATEHOUSE_CONFIG_PRINT_H
#define GATEHOUSE_CONFIG_PRINT_H

#include <stdio.h>

/* A complete settings file: each setting with its default and its sentence. It reads back as the
 * built-in defaults. */
void settings_print_defaults(FILE *out);
/* The list of settings for gatehouse.yaml(5), in mdoc. */
void settings_print_mdoc(FILE *out);

#endif

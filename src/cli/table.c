#include "cli/cli.h"

const struct command commands[] = {
    {0},
};

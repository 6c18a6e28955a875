/* Writes gatehouse.yaml(5): the given head, the settings from their table, the given tail. */
#include <stdio.h>

#include "config/print.h"

static int copy(const char *path)
{
    char buf[4096];
    size_t n;
    FILE *f = fopen(path, "r");
    if (!f) {
        perror(path);
        return -1;
    }
    while ((n = fread(buf, 1, sizeof buf, f)) > 0)
        fwrite(buf, 1, n, stdout);
    fclose(f);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3 || copy(argv[1]) != 0)
        return 1;
    settings_print_mdoc(stdout);
    return copy(argv[2]) == 0 && fflush(stdout) == 0 ? 0 : 1;
}

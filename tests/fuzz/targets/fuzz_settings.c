/* Settings files: whatever the bytes, either settings that hold together or problems with places.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("settings", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        return 0;
    struct settings_problems p = {0};
    struct settings *s = settings_load_all(path, &p);
    if ((s == NULL) != (p.n > 0))
        abort();
    if (s) {
        if (s->policies.n == 0 || s->listeners.n == 0 || !s->hostname || !s->paths.state)
            abort();
        for (size_t i = 0; i < s->listeners.n; i++)
            if (!s->listeners.v[i].name || !s->listeners.v[i].address)
                abort();
        for (size_t i = 0; i < s->policies.n; i++)
            if (!s->policies.v[i].name)
                abort();
    }
    settings_free(s);
    settings_problems_free(&p);
    return 0;
}

/* Mailboxes: the pieces lie in the file, in order, and the end is reached. */
#include <stdint.h>
#include <stdlib.h>

#include "cli/mbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span whole = span_of((const char *)data, size), rest = whole, separator, message;
    const char *at = whole.p;
    while (mbox_next(&rest, &separator, &message)) {
        if (message.p < at || message.p + message.n > whole.p + whole.n)
            abort();
        if (separator.p && (separator.p < at || separator.p + separator.n > message.p))
            abort();
        at = message.p + message.n;
    }
    if (rest.n != 0)
        abort();
    return 0;
}

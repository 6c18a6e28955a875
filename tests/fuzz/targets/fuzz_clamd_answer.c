/* What a virus engine says. Only the exact words are clean; nothing else may ever become so. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "virus/clamd_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of((const char *)data, size);
    for (int stream = 0; stream < 2; stream++) {
        struct clamd_answer a = clamd_answer_parse(in, stream);
        bool exact = stream ? span_eq(in, SPAN("stream: OK"))
                            : span_starts(in, SPAN("fd[")) && span_ends(in, SPAN("]: OK"));
        if (a.verdict == CLAMD_OK && !exact)
            abort();
        if (a.verdict == CLAMD_FOUND && (a.text.n == 0 || a.text.n > SIGNATURE_NAME_MAX))
            abort();
    }
    struct span v = clamd_version_parse(in);
    return v.n > size;
}

#include "mime/mime_private.h"

const struct mime_anomaly_row mime_anomaly_table[] = {
#define X(identifier, name, what) {name, what},
    MIME_ANOMALY_LIST(X)
#undef X
};

void mime_note(struct mime *m, enum mime_anomaly_kind kind, uint64_t at)
{
    struct mime_state *state = (struct mime_state *)m;
    if (state->noted[kind] == MIME_ANOMALIES_OF_A_KIND)
        return;
    state->noted[kind]++;
    *ARENA_PUSH(m->arena, m->anomalies, m->nanomalies, m->anomalies_cap) =
        (struct mime_anomaly){mime_anomaly_table[kind].name, at};
}

#include "lists/asn.h"

#include <maxminddb.h>
#include <stdlib.h>

#include "base/xalloc.h"

struct asn {
    MMDB_s db;
};

struct asn *asn_open(const char *path, struct err *e)
{
    struct asn *a = xcalloc(1, sizeof *a);
    int rc = MMDB_open(path, MMDB_MODE_MMAP, &a->db);
    if (rc == MMDB_SUCCESS)
        return a;
    err_set(e, "%s: %s", path, MMDB_strerror(rc));
    free(a);
    return NULL;
}

void asn_close(struct asn *a)
{
    if (a)
        MMDB_close(&a->db);
    free(a);
}

uint32_t asn_of(const struct asn *a, const struct ip *ip)
{
    int rc = MMDB_SUCCESS, gai = 0;
    char text[IP_TEXT_SIZE];
    MMDB_entry_data_s data;
    if (!a)
        return 0;
    MMDB_lookup_result_s found = MMDB_lookup_string(&a->db, ip_text(ip, text), &gai, &rc);
    if (gai != 0 || rc != MMDB_SUCCESS || !found.found_entry)
        return 0;
    rc = MMDB_get_value(&found.entry, &data, "autonomous_system_number", NULL);
    if (rc != MMDB_SUCCESS || !data.has_data)
        return 0;
    if (data.type == MMDB_DATA_TYPE_UINT32)
        return data.uint32;
    return data.type == MMDB_DATA_TYPE_UINT16 ? data.uint16 : 0;
}

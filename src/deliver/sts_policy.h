/* MTA-STS records and policies (RFC 8461 sections 3.1 and 3.2), as text; no sockets, no clock. */
#ifndef GATEHOUSE_DELIVER_STS_POLICY_H
#define GATEHOUSE_DELIVER_STS_POLICY_H

#include "base/arena.h"
#include "base/err.h"

enum {
    STS_ID_MAX = 32,
    STS_POLICY_MAX = 64 * 1024, /* bytes of a policy; more is no policy */
    STS_MX_MAX = 100,           /* patterns */
    STS_AGE_MAX = 31557600      /* seconds: about a year */
};

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };

struct sts_policy {
    enum sts_mode mode;
    uint32_t max_age; /* seconds */
    struct span *mx;  /* lower case; "*.example.com" stands for one label more */
    size_t n;
};

/* One TXT record: "v=STSv1; id=20160831085700Z;". false: it is none. id points into text. */
bool sts_record_parse(struct span text, struct span *id);
/* A whole policy. 0, or -1 with why. Strings are copied into the arena. */
int sts_policy_parse(struct span text, struct arena *a, struct sts_policy *out, struct err *why);
/* Whether an exchanger (in any case, without final dot) is one of the policy's. */
bool sts_policy_matches(const struct sts_policy *p, struct span host);

#endif

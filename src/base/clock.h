/* Time. Wall time is microseconds since 1970 (UTC) and goes into records; monotonic time is
 * microseconds since some start and is for measuring and for deadlines. */
#ifndef GATEHOUSE_BASE_CLOCK_H
#define GATEHOUSE_BASE_CLOCK_H

#include "base/span.h"

#include <time.h>

typedef int64_t usec;

#define USEC_PER_SEC ((usec)1000000)

usec clock_wall(void);
usec clock_mono(void);

/* "2026-11-22T07:30:00.123Z". Returns its argument. */
enum { CLOCK_ISO_SIZE = 32 };
char *clock_iso(usec wall, char out[CLOCK_ISO_SIZE]);

/* "Sun, 22 Nov 2026 07:30:00 +0000" in local time (RFC 5322 section 3.3). */
enum { CLOCK_RFC5322_SIZE = 48 };
char *clock_rfc5322(usec wall, char out[CLOCK_RFC5322_SIZE]);

/* An ISO time (date alone, or with time, Z or offset), or an age such as "2h" or "3d" ago.
 * Returns false when it is neither. */
bool clock_parse(struct span text, usec now, usec *out);

#endif

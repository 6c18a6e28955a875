/* The scanner process: takes scan requests from door and spool over links, runs the flow, replies.
 */
#ifndef GATEHOUSE_FLOW_SCANNER_H
#define GATEHOUSE_FLOW_SCANNER_H

#include "config/settings.h"

struct ruleset;

int scan_main(const struct settings *set, int control_fd, const struct ruleset *rs,
              const char *embedded_virus_socket);

#endif

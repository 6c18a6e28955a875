/* TLS in front of a library that reads and writes a descriptor: the stream (loop/stream.h) has the
 * client, the library one end of a socket pair, and the bytes go to and fro in plain text. */
#ifndef GATEHOUSE_DOOR_TUNNEL_H
#define GATEHOUSE_DOOR_TUNNEL_H

struct gate;

/* Takes the client's descriptor, with the gate's certificate. When its handshake is done, ready is
 * called with a descriptor in plain text, which it owns, whether it takes it or not. */
void tunnel_open(struct gate *g, int fd, void (*ready)(struct gate *g, int plain));

#endif

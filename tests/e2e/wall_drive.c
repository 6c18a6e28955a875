/* Many clients at once, for bench/wall: wall_drive PORT CLIENTS AT-ONCE refused|idle. Each comes,
 * by a PROXY header, from an address of its own in 10.0.0.0/8. refused: until each was turned away;
 * idle: until all have been greeted, then until standard input ends. Prints how many heard what. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct run {
    struct sockaddr_in to;
    int epoll;
    unsigned long clients, at_once, started, open, ended;
    unsigned long greeted, refused, put_off, silent;
    int idle;
};

static int start_one(struct run *r)
{
    char line[128];
    unsigned long i = r->started;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct linger now = {1, 0}; /* no TIME_WAIT: ports are what we would run out of */
    if (fd < 0 || connect(fd, (struct sockaddr *)&r->to, sizeof r->to) != 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    int n = snprintf(line, sizeof line, "PROXY TCP4 10.%lu.%lu.%lu 127.0.0.1 4711 25\r\n",
                     i >> 16 & 255, i >> 8 & 255, i & 255);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    if (write(fd, line, (size_t)n) != n || epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &ev) != 0)
        return -1;
    r->started++;
    r->open++;
    return 0;
}

static void hear(struct run *r, int fd)
{
    char text[1024];
    ssize_t n = read(fd, text, sizeof text);
    if (n <= 0)
        r->silent++;
    else if (text[0] == '2')
        r->greeted++;
    else if (text[0] == '5')
        r->refused++;
    else
        r->put_off++;
    r->ended++;
    if (r->idle && n > 0 && text[0] == '2') {
        epoll_ctl(r->epoll, EPOLL_CTL_DEL, fd, NULL);
        return; /* stays */
    }
    close(fd);
    r->open--;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 64;
    struct run r = {.clients = strtoul(argv[2], NULL, 10),
                    .at_once = strtoul(argv[3], NULL, 10),
                    .epoll = epoll_create1(EPOLL_CLOEXEC),
                    .idle = strcmp(argv[4], "idle") == 0};
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    r.to = (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(argv[1])),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (r.ended < r.clients) {
        struct epoll_event ev[256];
        while (r.started < r.clients && r.started - r.ended < r.at_once)
            if (start_one(&r) != 0) {
                fprintf(stderr, "client %lu: %s\n", r.started, strerror(errno));
                return 1;
            }
        int n = epoll_wait(r.epoll, ev, 256, 60000);
        if (n <= 0)
            break;
        for (int i = 0; i < n; i++)
            hear(&r, ev[i].data.fd);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%lu greeted %lu refused %lu put-off %lu silent %.3f seconds\n", r.greeted, r.refused,
           r.put_off, r.silent,
           (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    fflush(stdout);
    if (r.idle)
        while (getchar() != EOF)
            ;
    return 0;
}

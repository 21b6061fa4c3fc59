/*
 * The limit: what a plain C server with epoll reaches that sends each event to each connection with one send() of its own. It
 * keeps no log, resumes nothing and checks nothing; it only has the same bytes on the wire.
 *
 *   GET /stream     the opening, then every event        GET /hello   the same, with one event at once
 *   GET /short      ten events, `complete`, the end      POST /publish?n=COUNT   makes COUNT events, with no body
 *
 * A connection that doesn't take its bytes is caught up from a ring of frames when it's writable again; one that falls behind the
 * ring is closed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { FRAME = 256, RING = 1 << 16, INPUT = 65536, MAX_FILES = 65536, BATCH = 1024, HEARTBEAT_S = 15 };

struct connection {
    int fd;
    bool streams, blocked;
    uint32_t place;       /* in `streams` */
    uint32_t sent;        /* bytes of the frame at the cursor that are out already */
    uint64_t cursor;
    size_t length;
    char *input;          /* what has come of a request; only connections that don't stream have one */
};

static const char HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                           "Cache-Control: no-cache, no-transform\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "14\r\nretry: 2000\n: open\n\n\r\n";
static const char BEAT[] = "d\r\n: heartbeat\n\n\r\n";
static const char DONE[] = "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n";

static int epoll_fd, listener, timer;
static struct connection *connections, **streams;
static uint32_t stream_count;
static char (*frames)[FRAME];
static uint16_t *lengths;
static uint64_t head;
static int64_t last_id;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static size_t make_frame(char *out, const char *type) {
    struct timespec time;
    char event[FRAME];
    clock_gettime(CLOCK_REALTIME, &time);
    int64_t now = (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
    last_id = now > last_id ? now : last_id + 1;
    int length = snprintf(event, sizeof event,
                          "event: %s\ndata: {\"petId\":\"019b4127-e295-7be4-976e-b77988a8b015\",\"oldStock\":%ld,\"newStock\":%ld}\n"
                          "id: %ld\n\n", type, 100000 + (long)(last_id % 100000), 100001 + (long)(last_id % 100000), (long)last_id);
    return (size_t)snprintf(out, FRAME, "%x\r\n%s\r\n", (unsigned)length, event);
}

static void shut(struct connection *c) {
    if (c->streams) {
        streams[c->place] = streams[--stream_count];
        streams[c->place]->place = c->place;
    }
    close(c->fd);
    free(c->input);
    memset(c, 0, sizeof *c);
}

/* Sends frames, one send for each, until the connection has all of them or takes no more. */
static void catch_up(struct connection *c) {
    if (head - c->cursor > RING) { shut(c); return; }
    while (c->cursor < head) {
        uint64_t slot = c->cursor % RING;
        ssize_t n = send(c->fd, frames[slot] + c->sent, lengths[slot] - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN) { shut(c); return; }
        c->sent += n > 0 ? (uint32_t)n : 0;
        c->blocked = n < 0 || c->sent < lengths[slot];
        if (c->blocked) return;
        c->sent = 0;
        c->cursor++;
    }
}

static void publish(long count) {
    for (; count > 0; count--) {
        lengths[head % RING] = (uint16_t)make_frame(frames[head % RING], "stock-change");
        head++;
        for (uint32_t i = stream_count; i-- > 0;)
            if (!streams[i]->blocked) catch_up(streams[i]);
    }
}

static void begin_stream(struct connection *c, const char *path) {
    char frame[FRAME];
    send(c->fd, HEAD, sizeof HEAD - 1, MSG_NOSIGNAL);
    if (!strncmp(path, "/stream", 7) || !strncmp(path, "/hello", 6)) {
        if (path[1] == 'h') send(c->fd, frame, make_frame(frame, "stock-change"), MSG_NOSIGNAL);
        free(c->input);
        c->input = NULL;
        c->streams = true;
        c->cursor = head;
        c->place = stream_count;
        streams[stream_count++] = c;
        return;
    }
    for (int i = 0; i < 11; i++) send(c->fd, frame, make_frame(frame, i < 10 ? "recommendation" : "complete"), MSG_NOSIGNAL);
    send(c->fd, "0\r\n\r\n", 5, MSG_NOSIGNAL);
}

/* Takes what one recv() brings, and returns whether there may be more: of what is left unread no edge tells. */
static bool read_requests(struct connection *c) {
    if (c->streams) {
        char rest[512];
        if (recv(c->fd, rest, sizeof rest, MSG_DONTWAIT) == 0) shut(c);
        return false;
    }
    size_t room = INPUT - 1 - c->length;
    ssize_t n = recv(c->fd, c->input + c->length, room, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return false;
    if (n <= 0) { shut(c); return false; }
    c->length += (size_t)n;
    c->input[c->length] = 0;
    char *at = c->input, *end;
    while ((end = strstr(at, "\r\n\r\n"))) {
        if (!strncmp(at, "GET ", 4)) {
            begin_stream(c, at + 4);
            if (c->streams) return false;
        } else {
            const char *number = strstr(at, "n=");
            publish(number && number < end ? atol(number + 2) : 1);
            if (send(c->fd, DONE, sizeof DONE - 1, MSG_NOSIGNAL) < 0) { shut(c); return false; }
        }
        at = end + 4;
    }
    c->length -= (size_t)(at - c->input);
    memmove(c->input, at, c->length);
    return (size_t)n == room;
}

static void accept_all(void) {
    int one = 1, fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= MAX_FILES) { close(fd); continue; }
        struct connection *c = &connections[fd];
        *c = (struct connection){.fd = fd, .input = malloc(INPUT)};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    }
}

static void beat(void) {
    uint64_t ticks;
    if (read(timer, &ticks, sizeof ticks) < 0) return;
    for (uint32_t i = 0; i < stream_count; i++)
        if (!streams[i]->blocked) send(streams[i]->fd, BEAT, sizeof BEAT - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void serve(void) {
    static struct epoll_event events[BATCH];
    for (;;) {
        int n = epoll_wait(epoll_fd, events, BATCH, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            struct connection *c = &connections[fd];
            if (fd == listener) accept_all();
            else if (fd == timer) beat();
            else {
                if (events[i].events & EPOLLOUT && c->streams && c->blocked) catch_up(c);
                if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && c->fd)
                    while (read_requests(c)) {}
            }
        }
    }
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct itimerspec every = {{HEARTBEAT_S, 0}, {HEARTBEAT_S, 0}};
    struct rlimit limit;
    int one = 1;
    address.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 8000));
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    connections = calloc(MAX_FILES, sizeof *connections);
    streams = calloc(MAX_FILES, sizeof *streams);
    frames = malloc((size_t)RING * FRAME);
    lengths = calloc(RING, sizeof *lengths);
    if (!connections || !streams || !frames || !lengths) die("memory");
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) die("listen");
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    timerfd_settime(timer, 0, &every, NULL);
    watch(listener);
    watch(timer);
    serve();
}

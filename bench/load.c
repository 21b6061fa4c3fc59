/*
 * The load: opens thousands of SSE connections, publishes on a schedule, and checks that every connection got every event once
 * and in order. One thread, epoll, no allocation while it runs. It measures a server, so it must cost less than any server.
 *
 * It must not know who the server is: requests to publish come from a file, and an event is known by the number after a key
 * (`id:`, which is microseconds since 1970, or `at":` in the data of a server that gives ids of its own kind).
 *
 * Commands come on standard input, a line each, and each is answered by one line of JSON; every one of them ends by itself:
 *   open COUNT PER_SECOND PATH             open more connections and hold them; PATH may be @FILE with a path a line
 *   publish FILE EXPECTED DEADLINE_S LENGTH_S   send FILE's requests; done when each connection has EXPECTED more events. The
 *                                          rate counts over LENGTH_S at the least: the last request is sent before its end
 *   expect EXPECTED DEADLINE_S             the same, where somebody else publishes
 *   churn PARALLEL SECONDS EVENTS PATH     connect, read EVENTS events (below 0: so many to the body's end), close, again
 *   count                                  how many connections are open
 *   close                                  close all connections
 * The end of the input ends the program.
 *
 * A file of requests: for each, a line "OFFSET_US BYTES EVENTS", then the bytes. Every run of sixteen @ in them is replaced by the
 * time of sending, strictly increasing.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
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

enum { HEAD_MAX = 2048, BUFFER = 1 << 18, BATCH = 1024, SOURCES = 64, MAX_EVENTS = 1 << 20, MAX_REQUESTS = 1 << 18, BUCKETS = 64 * 40, MAX_PUBLISHERS = 64 };
enum phase { CLOSED, CONNECTING, HEAD, SIZE, SIZE_END, DATA, DATA_END, RAW, ENDED };

/* Finds numbers after a key in a stream of bytes that may be cut anywhere. */
struct scanner {
    uint64_t number;
    uint8_t matched;   /* bytes of the key so far, when a piece ended inside it */
    bool in_number;
};

struct connection {
    int fd;
    uint8_t phase;
    bool chunked, answered;
    uint16_t head_length, status;
    struct scanner scanner;
    uint64_t left;     /* bytes of the chunk that are still to come; while its size is read, the size so far */
    uint64_t last;     /* the newest number */
    uint32_t count;    /* events since the phase began */
    uint64_t check;    /* their exclusive or */
    int64_t due;       /* when it was to be opened */
    char *head;
};

/* A histogram of microseconds: 64 buckets for each power of two, so a value is at most 1.6 % off. */
struct histogram {
    uint64_t total, max;
    uint32_t buckets[BUCKETS];
};

struct request { int64_t offset; char *bytes; uint32_t length, events; };

static struct sockaddr_in server;
static const char *key = "\nid:";
static size_t key_length;
static uint8_t key_start = 1;   /* a body begins as if a line had just ended */
static int epoll_fd, timer_fd;
static struct connection *connections;
static size_t held, capacity, open_now;
static char *buffer;
static char **paths;
static size_t path_count;
static struct histogram opening, by_id, by_schedule, visits;

/* Counters of the phase that is running. */
static bool watching;
static uint64_t expected, deliveries, doubled, reordered, complete, dropped, failed, answered, accepted, refused;
static int64_t last_delivery, idle_us;
static int64_t *schedule;       /* when the n-th event was due; 0 where nobody knows */
static size_t scheduled;
static uint64_t event_total;

/* The churn. */
static bool churning;
static int64_t churn_events;
static uint64_t visits_done, visits_wrong;
static int64_t churn_until;

/* The publishing. */
static struct request *requests;
static size_t request_count, most_publishers = 8, publisher_count, sent_requests;
static int64_t publish_start, last_stamp;

/* Request i goes out on connection i % publisher_count: a server that handles one request of a connection at a time is not
 * measured by the length of a queue. */
static struct publisher {
    struct connection connection;
    size_t next, partial;      /* the request that is to be sent, and how many of its bytes are out */
} publishers[MAX_PUBLISHERS];

static bool publishes(const struct connection *c) {
    return (const char *)c >= (const char *)publishers && (const char *)c < (const char *)(publishers + MAX_PUBLISHERS);
}

static int64_t now_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *reserve(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory) die("memory");
    return memory;
}

static void note(struct histogram *histogram, int64_t value) {
    uint64_t v = value < 0 ? 0 : (uint64_t)value;
    unsigned shift = v < 128 ? 0 : 57 - (unsigned)__builtin_clzll(v);   /* what brings it down to 64 ... 127 */
    unsigned index = 64 * shift + (unsigned)(v >> shift);
    histogram->buckets[index < BUCKETS ? index : BUCKETS - 1]++;
    histogram->total++;
    if (v > histogram->max) histogram->max = v;
}

static uint64_t quantile(const struct histogram *histogram, double share) {
    uint64_t wanted = (uint64_t)((double)histogram->total * share), seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += histogram->buckets[i];
        unsigned shift = i < 128 ? 0 : i / 64 - 1;
        if (seen > wanted) return (uint64_t)(i - 64 * shift) << shift;
    }
    return histogram->max;
}

static void print_histogram(const char *name, const struct histogram *histogram) {
    printf(",\"%s\":{\"count\":%lu,\"p50\":%lu,\"p99\":%lu,\"max\":%lu}", name, histogram->total, quantile(histogram, 0.5),
           quantile(histogram, 0.99), histogram->max);
}

static void take_event(struct connection *c, uint64_t number, int64_t now) {
    if (number <= c->last) {
        if (number == c->last) doubled++;
        else reordered++;
    }
    c->last = number;
    if (churning) { c->count++; return; }
    if (!watching) return;
    if (c->count < scheduled && schedule[c->count]) note(&by_schedule, now - schedule[c->count]);
    if (number > 1000000000000000ull) note(&by_id, now - (int64_t)number);
    c->check ^= number;
    c->count++;
    deliveries++;
    last_delivery = now;
    if (c->count == expected) complete++;
}

static void take_status(struct connection *c, uint64_t number, int64_t now) {
    (void)c; (void)now;
    answered++;
    if (number >= 200 && number < 300) accepted++;
    else refused++;
}

/* Calls `take` for each number after the key. `wanted` begins with a character that does not occur in it again. */
static void scan(struct connection *c, const char *p, size_t n, const char *wanted, size_t length, int64_t now,
                 void (*take)(struct connection *, uint64_t, int64_t)) {
    struct scanner *s = &c->scanner;
    const char *end = p + n;
    while (p < end) {
        if (s->in_number) {
            while (p < end && *p == ' ' && !s->number) p++;
            while (p < end && *p >= '0' && *p <= '9') s->number = s->number * 10 + (uint64_t)(*p++ - '0');
            if (p == end) return;
            s->in_number = false;
            take(c, s->number, now);
        }
        if (s->matched) {
            while (p < end && s->matched < length && *p == wanted[s->matched]) { s->matched++; p++; }
            if (s->matched < length && p == end) return;
            bool found = s->matched == length;
            s->matched = 0;
            if (found) { s->in_number = true; s->number = 0; }
            continue;
        }
        const char *hit = memmem(p, (size_t)(end - p), wanted, length);
        if (hit) {
            p = hit + length;
            s->in_number = true;
            s->number = 0;
            continue;
        }
        const char *from = (size_t)(end - p) >= length ? end - length + 1 : p;
        const char *first = memchr(from, wanted[0], (size_t)(end - from));
        while (first) {
            if (!memcmp(first, wanted, (size_t)(end - first))) { s->matched = (uint8_t)(end - first); return; }
            first = memchr(first + 1, wanted[0], (size_t)(end - first - 1));
        }
        return;
    }
}

static void shut(struct connection *c) {
    if (c->phase == CLOSED) return;
    close(c->fd);
    c->phase = CLOSED;
    if (!publishes(c)) open_now--;
}

static const char *path_of(const struct connection *c) { return paths[(size_t)(c - connections) % path_count]; }

static void start(struct connection *c, int64_t due) {
    int one = 1;
    size_t index = publishes(c) ? 0 : (size_t)(c - connections);
    char *head = c->head;
    memset(c, 0, sizeof *c);
    c->head = head;
    c->due = due;
    c->scanner.matched = publishes(c) ? 0 : key_start;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(0x7f000100u + 1 + (uint32_t)(index % SOURCES));
    if (bind(c->fd, (struct sockaddr *)&source, sizeof source)) die("bind");
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) die("connect");
    c->phase = CONNECTING;
    if (!publishes(c)) open_now++;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
}

/* Returns whether it could be sent. */
static bool ask(struct connection *c) {
    static char request[4096];
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n", path_of(c));
    c->phase = HEAD;
    return send(c->fd, request, (size_t)length, MSG_NOSIGNAL) == length;
}

/* Takes the head of the response, and returns how many of the bytes belonged to it. */
static size_t take_head(struct connection *c, const char *p, size_t n, int64_t now) {
    if (!c->answered) {
        c->answered = true;
        note(&opening, now - c->due);
    }
    size_t had = c->head_length, room = HEAD_MAX - 1 - had, copied = n < room ? n : room;
    memcpy(c->head + had, p, copied);
    c->head[had + copied] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    c->head_length = (uint16_t)(had + copied);
    if (!end) {
        if (copied < n || copied == room) c->phase = ENDED;
        return copied;
    }
    end[2] = 0;
    c->status = (uint16_t)atoi(c->head + 9);
    c->chunked = strcasestr(c->head, "transfer-encoding: chunked");
    c->phase = c->status != 200 ? ENDED : c->chunked ? SIZE : RAW;
    c->left = 0;
    if (c->status != 200 && !churning) failed++;   /* a visit is counted at its end */
    return (size_t)(end - c->head) + 4 - had;
}

static void feed(struct connection *c, const char *p, size_t n, int64_t now) {
    const char *end = p + n;
    while (p < end) {
        switch (c->phase) {
        case HEAD:
            p += take_head(c, p, (size_t)(end - p), now);
            break;
        case SIZE: {
            char b = *p++;
            if (b == '\n') c->phase = c->left ? DATA : ENDED;
            else if (b == ';' || b == '\r') c->phase = SIZE_END;
            else c->left = c->left * 16 + (uint64_t)(b <= '9' ? b - '0' : (b | 32) - 'a' + 10);
            break;
        }
        case SIZE_END:
            if (*p++ == '\n') c->phase = c->left ? DATA : ENDED;
            break;
        case DATA: {
            size_t some = (size_t)(end - p) < c->left ? (size_t)(end - p) : c->left;
            scan(c, p, some, key, key_length, now, take_event);
            p += some;
            c->left -= some;
            if (!c->left) c->phase = DATA_END;
            break;
        }
        case DATA_END:
            if (*p++ == '\n') c->phase = SIZE;
            break;
        case RAW:
            scan(c, p, (size_t)(end - p), key, key_length, now, take_event);
            return;
        default:
            return;
        }
    }
}

static void finish_visit(struct connection *c, bool well, int64_t now) {
    if (well) { visits_done++; note(&visits, now - c->due); }
    else visits_wrong++;
    shut(c);
    if (now < churn_until) start(c, now);
}

static void read_connection(struct connection *c) {
    for (;;) {
        ssize_t n = recv(c->fd, buffer, BUFFER, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        int64_t now = now_us();
        if (n <= 0) {
            if (churning) { finish_visit(c, false, now); return; }
            if (c->phase == CONNECTING || c->phase == HEAD) failed++;
            else dropped++;
            shut(c);
            return;
        }
        feed(c, buffer, (size_t)n, now);
        if (churning && (c->phase == ENDED || (churn_events > 0 && c->count >= churn_events))) {
            finish_visit(c, c->status == 200 && c->count >= llabs(churn_events), now);
            return;
        }
        if (c->phase == ENDED) { dropped += c->status == 200; shut(c); return; }
        if (n < BUFFER) return;
    }
}

static void handle(struct connection *c, uint32_t events) {
    if (c->phase == CLOSED) return;
    if (c->phase == CONNECTING && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error || !ask(c)) {
            if (churning) finish_visit(c, false, now_us());
            else { failed++; shut(c); }
            return;
        }
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) read_connection(c);
}

static void stamp(struct request *r, int64_t now) {
    for (char *p = r->bytes; (p = memmem(p, (size_t)(r->bytes + r->length - p), "@@@@@@@@@@@@@@@@", 16)); p += 16) {
        char digits[24];
        last_stamp = now > last_stamp ? now : last_stamp + 1;
        snprintf(digits, sizeof digits, "%016ld", (long)last_stamp);
        memcpy(p, digits, 16);
    }
}

/* Sends what is due. Requests are not held back for answers: a slow server must not slow the schedule down. */
static void publish_on(struct publisher *p, int64_t now) {
    while (p->next < request_count && publish_start + requests[p->next].offset <= now && p->connection.phase == HEAD) {
        struct request *r = &requests[p->next];
        if (!p->partial) stamp(r, now);
        ssize_t n = send(p->connection.fd, r->bytes + p->partial, r->length - p->partial, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) shut(&p->connection);
        if (n < 0) return;
        p->partial += (size_t)n;
        if (p->partial < r->length) return;
        p->partial = 0;
        p->next += publisher_count;
        sent_requests++;
    }
}

static void publish_due(int64_t now) {
    if (sent_requests == request_count) return;
    for (size_t i = 0; i < publisher_count; i++) publish_on(&publishers[i], now);
}

/* When the next request is due, or `otherwise`; one that only waits for its connection to take more bytes doesn't count. */
static int64_t next_due(int64_t otherwise) {
    for (size_t i = 0; i < publisher_count && sent_requests < request_count; i++) {
        struct publisher *p = &publishers[i];
        if (p->next >= request_count || p->connection.phase != HEAD || p->partial) continue;
        int64_t due = publish_start + requests[p->next].offset;
        if (due < otherwise) otherwise = due;
    }
    return otherwise;
}

static void handle_publisher(struct connection *c, uint32_t events) {
    if (c->phase == CONNECTING && events & (EPOLLERR | EPOLLHUP)) { shut(c); return; }
    if (c->phase == CONNECTING && events & EPOLLOUT) c->phase = HEAD;
    while (c->phase == HEAD) {
        ssize_t n = recv(c->fd, buffer, BUFFER, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (n <= 0) { shut(c); break; }
        scan(c, buffer, (size_t)n, "HTTP/1.1 ", 9, 0, take_status);
    }
}

/* One turn of the loop, which ends at `until` at the latest. */
static void turn(int64_t until) {
    static struct epoll_event events[BATCH];
    int64_t begin = now_us(), wait = next_due(until) - begin;
    /* While it measures it polls and never sleeps: to wake a sleeper on another core would be the server's work, at each send.
     * Where somebody else publishes, that somebody needs this core too. */
    bool polls = (watching && request_count) || churning;
    if (wait > 0 && !polls) {
        struct itimerspec timer = {.it_value = {.tv_sec = wait / 1000000, .tv_nsec = wait % 1000000 * 1000}};
        timerfd_settime(timer_fd, 0, &timer, NULL);
    }
    int n = epoll_wait(epoll_fd, events, BATCH, wait > 0 && !polls ? -1 : 0);
    if (n == 0) idle_us += now_us() - begin;
    for (int i = 0; i < n; i++) {
        struct connection *c = events[i].data.ptr;
        if (c == NULL) {
            uint64_t ticks;
            if (read(timer_fd, &ticks, sizeof ticks) < 0 && errno != EAGAIN) die("timer");
        } else if (publishes(c)) handle_publisher(c, events[i].events);
        else handle(c, events[i].events);
        /* A pass over thousands of connections takes milliseconds; the schedule must not wait for its end. */
        if ((i & 63) == 63) publish_due(now_us());
    }
    publish_due(now_us());
}

/* The share of the time since `begin` that it had something to do. */
static double busy(int64_t begin) {
    return 1 - (double)idle_us / (double)(now_us() - begin + 1);
}

static void read_paths(const char *spec) {
    for (size_t i = 0; i < path_count; i++) free(paths[i]);
    path_count = 0;
    paths = realloc(paths, (capacity + 1) * sizeof *paths);
    if (*spec != '@') { paths[path_count++] = strdup(spec); return; }
    char line[2048];
    FILE *file = fopen(spec + 1, "r");
    if (!file) die(spec + 1);
    while (path_count < capacity && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (*line) paths[path_count++] = strdup(line);
    }
    fclose(file);
}

static void reset_counters(void) {
    deliveries = doubled = reordered = complete = dropped = failed = answered = accepted = refused = 0;
    visits_done = visits_wrong = 0;
    idle_us = 0;
    for (size_t i = 0; i < held; i++) { connections[i].count = 0; connections[i].check = 0; }
    memset(&opening, 0, sizeof opening);
    memset(&by_id, 0, sizeof by_id);
    memset(&by_schedule, 0, sizeof by_schedule);
    memset(&visits, 0, sizeof visits);
}

static void command_open(size_t count, double per_second, const char *spec) {
    if (held + count > capacity) { printf("{\"error\":\"over --max\"}\n"); return; }
    read_paths(spec);
    reset_counters();
    int64_t begin = now_us(), deadline = begin + (int64_t)((double)count / per_second * 1e6) + 30000000;
    size_t started = 0;
    while ((started < count || opening.total + failed < count) && now_us() < deadline) {
        int64_t now = now_us();
        while (started < count && begin + (int64_t)((double)started / per_second * 1e6) <= now) {
            start(&connections[held + started], begin + (int64_t)((double)started / per_second * 1e6));
            started++;
        }
        turn(started < count ? begin + (int64_t)((double)started / per_second * 1e6) : deadline);
    }
    held += count;
    printf("{\"asked\":%zu,\"open\":%zu,\"failed\":%lu,\"dropped\":%lu,\"seconds\":%.3f", count, open_now, failed, dropped,
           (double)(now_us() - begin) / 1e6);
    print_histogram("firstByte", &opening);
    printf("}\n");
}

static bool read_requests(const char *name) {
    static char *bytes;
    free(bytes);
    FILE *file = fopen(name, "r");
    if (!file) return false;
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    bytes = reserve(size + 1, 1);
    if (fread(bytes, 1, size, file) != size) die(name);
    fclose(file);
    request_count = event_total = 0;
    for (char *p = bytes; p < bytes + size;) {
        if (request_count == MAX_REQUESTS) return false;
        struct request *r = &requests[request_count++];
        long offset, length, events;
        int used = 0;
        if (sscanf(p, "%ld %ld %ld%n", &offset, &length, &events, &used) != 3) return false;
        *r = (struct request){offset, p + used + 1, (uint32_t)length, (uint32_t)events};
        p += used + 1 + length;
        event_total += (uint64_t)events;
    }
    return request_count > 0;
}

static bool all_publishers_ready(void) {
    for (size_t i = 0; i < publisher_count; i++)
        if (publishers[i].connection.phase == CONNECTING) return false;
    return true;
}

static void stop_publishers(void) {
    for (size_t i = 0; i < publisher_count; i++) shut(&publishers[i].connection);
    request_count = sent_requests = 0;
}

static void start_publishers(void) {
    int64_t give_up = now_us() + 5000000;
    /* Each is used at least once a second: servers close connections that rest for longer. */
    size_t per_second = (size_t)((double)request_count * 1e6 / (double)(requests[request_count - 1].offset + 1));
    publisher_count = per_second < 1 ? 1 : per_second < most_publishers ? per_second : most_publishers;
    publish_start = give_up;
    for (size_t i = 0; i < publisher_count; i++) {
        publishers[i].next = i;
        publishers[i].partial = 0;
        start(&publishers[i].connection, give_up);
    }
    while (!all_publishers_ready() && now_us() < give_up) turn(give_up);
    publish_start = now_us() + 1000;
    scheduled = 0;
    for (size_t i = 0; i < request_count; i++)
        for (uint32_t k = 0; k < requests[i].events && scheduled < MAX_EVENTS; k++)
            schedule[scheduled++] = publish_start + requests[i].offset;
    /* With many topics a connection sees only some of the events, and which is not known here. */
    if (event_total != expected) scheduled = 0;
}

static void print_phase(int64_t begin, double length_s) {
    int64_t planned = begin + (int64_t)(length_s * 1e6), end = last_delivery > planned ? last_delivery : planned;
    double window = (double)(end - begin) / 1e6;
    uint64_t wanted = expected * open_now, lost = 0, unequal = 0, check = 0;
    bool same = event_total == expected;
    for (size_t i = 0; i < held; i++) {
        struct connection *c = &connections[i];
        if (c->phase == CLOSED) continue;
        if (c->count < expected) lost += expected - c->count;
        else if (!same) continue;
        else if (!check) check = c->check;
        else if (c->check != check) unequal++;
    }
    printf("{\"connections\":%zu,\"expected\":%lu,\"deliveries\":%lu,\"lost\":%lu,\"doubled\":%lu,\"reordered\":%lu,"
           "\"unequal\":%lu,\"dropped\":%lu,\"requests\":%zu,\"accepted\":%lu,\"refused\":%lu,\"window\":%.4f,"
           "\"perSecond\":%.0f,\"loadBusy\":%.3f",
           open_now, wanted, deliveries, lost, doubled, reordered, unequal, dropped, request_count, accepted, refused, window,
           window > 0 ? (double)deliveries / window : 0, busy(begin));
    print_histogram("byId", &by_id);
    print_histogram("bySchedule", &by_schedule);
    printf("}\n");
}

static void command_expect(const char *file, uint64_t events, double deadline_s, double length_s) {
    reset_counters();
    expected = events;
    scheduled = request_count = sent_requests = event_total = 0;
    publish_start = 0;
    if (file && !read_requests(file)) { printf("{\"error\":\"can't read the requests\"}\n"); return; }
    last_delivery = 0;
    watching = true;
    if (file) start_publishers();
    idle_us = 0;
    int64_t begin = file ? publish_start : now_us(), deadline = begin + (int64_t)(deadline_s * 1e6);
    while (now_us() < deadline && (complete < open_now || answered < request_count)) {
        if (open_now == 0) break;
        turn(deadline);
    }
    watching = false;
    print_phase(begin, length_s);
    stop_publishers();
}

static void command_churn(size_t parallel, double seconds, int64_t events, const char *spec) {
    if (held + parallel > capacity) { printf("{\"error\":\"over --max\"}\n"); return; }
    read_paths(spec);
    reset_counters();
    int64_t begin = now_us();
    churn_until = begin + (int64_t)(seconds * 1e6);
    churn_events = events;
    churning = true;
    for (size_t i = 0; i < parallel; i++) start(&connections[held + i], now_us());
    while (now_us() < churn_until) turn(churn_until);
    uint64_t done = visits_done, wrong = visits_wrong;
    double window = (double)(now_us() - begin) / 1e6;
    churning = false;
    for (size_t i = 0; i < parallel; i++) shut(&connections[held + i]);
    printf("{\"visits\":%lu,\"failed\":%lu,\"perSecond\":%.1f,\"window\":%.3f,\"loadBusy\":%.3f", done, wrong,
           (double)done / window, window, busy(begin));
    print_histogram("firstByte", &opening);
    print_histogram("visit", &visits);
    printf("}\n");
}

static void command_close(void) {
    for (size_t i = 0; i < held; i++) shut(&connections[i]);
    held = 0;
    printf("{\"open\":%zu}\n", open_now);
}

/* Between commands the connections are still read, so that heartbeats don't pile up. */
static bool read_command(char *line, size_t size) {
    size_t length = 0;
    for (;;) {
        turn(now_us() + 20000);
        while (length + 1 < size) {
            ssize_t n = read(STDIN_FILENO, line + length, 1);
            if (n == 0) return false;
            if (n < 0) break;
            if (line[length] == '\n') { line[length] = 0; return true; }
            length++;
        }
    }
}

static void serve(void) {
    static char line[8192], argument[4096];
    size_t count;
    unsigned long events;
    long visit;
    double a, b;
    while (read_command(line, sizeof line)) {
        if (sscanf(line, "open %zu %lf %4095s", &count, &a, argument) == 3) command_open(count, a, argument);
        else if (sscanf(line, "publish %4095s %lu %lf %lf", argument, &events, &a, &b) == 4)
            command_expect(argument, events, a, b);
        else if (sscanf(line, "expect %lu %lf", &events, &a) == 2) command_expect(NULL, events, a, 0);
        else if (sscanf(line, "churn %zu %lf %ld %4095s", &count, &a, &visit, argument) == 4)
            command_churn(count, a, visit, argument);
        else if (!strcmp(line, "count")) printf("{\"open\":%zu}\n", open_now);
        else if (!strcmp(line, "close")) command_close();
        else printf("{\"error\":\"unknown command\"}\n");
        fflush(stdout);
    }
}

int main(int argc, char **argv) {
    int port = 8000;
    capacity = 12000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--port")) port = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--max")) capacity = (size_t)atol(argv[i + 1]);
        else if (!strcmp(argv[i], "--publishers")) most_publishers = (size_t)atol(argv[i + 1]) % MAX_PUBLISHERS;
        else if (!strcmp(argv[i], "--key") && !strcmp(argv[i + 1], "at")) { key = "at\":"; key_start = 0; }
    }
    key_length = strlen(key);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    connections = reserve(capacity, sizeof *connections);
    char *heads = reserve(capacity, HEAD_MAX);
    for (size_t i = 0; i < capacity; i++) connections[i].head = heads + i * HEAD_MAX;
    buffer = reserve(BUFFER, 1);
    schedule = reserve(MAX_EVENTS, sizeof *schedule);
    requests = reserve(MAX_REQUESTS, sizeof *requests);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event)) die("epoll_ctl");
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    serve();
    return 0;
}

/* What the load clients share: one thread, one epoll, N connections, each with one request under way at a time.
 *
 * How it works: run_load() connects, sends one request on every connection, and from then on sends the next as soon as
 * an answer is whole. Nothing is counted before the warm-up is over. At the end it prints one line of JSON: requests per
 * second, on average and in the fast tenth of short windows, and percentiles of the time from the first byte sent to the
 * last byte received. An answer that is not what was to come, a connection closed by the server, and a connection that
 * was never answered (unless those are only to be counted) end the program with status 1 and a message: a fast wrong server has
 * no result.
 *
 * The two things that differ come as functions: prepare() puts the next request into a connection's out buffer, consume()
 * looks at what is in its in buffer. Linux only (epoll, accurate clocks). */

#ifndef GEVENT_BENCHMARK_LOAD_H
#define GEVENT_BENCHMARK_LOAD_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The rate is also taken over windows of so many answers per connection: where the machine is shared, the average over
 * seconds says more about the neighbours than about the server. A number of answers and not a length of time, for servers
 * answer in batches, one per connection. */
#define WINDOW_ANSWERS 5

struct connection {
    int fd;
    int wants_write;
    uint64_t sequence;  /* requests prepared so far */
    uint64_t answered;  /* answers counted, the warm-up left out */
    uint64_t started;   /* when the request under way was first sent, ns */
    char *out;
    size_t out_size, sent;
    char *in;
    size_t in_capacity, received;
};

enum consumed { MORE, COMPLETE, WRONG };

struct load {
    const char *host;
    int port, connections, may_starve;
    double seconds, warm_up;
    size_t in_capacity;
    void (*prepare)(struct connection *);
    /* COMPLETE: the in buffer holds exactly one answer, and it is right. */
    enum consumed (*consume)(struct connection *);
};

/* Latencies: 32 steps per power of two of nanoseconds, so within 3 %. */
#define STEPS 64
static uint64_t histogram[64 * STEPS];

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "not as expected");
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void note_latency(uint64_t ns)
{
    unsigned power = ns < STEPS ? 0 : 63 - (unsigned)__builtin_clzll(ns) - 5;
    histogram[power * STEPS + ((ns >> power) & (STEPS - 1))]++;
}

static double percentile_us(uint64_t total, double part)
{
    uint64_t wanted = (uint64_t)(part * (double)(total - 1)) + 1, seen = 0;
    for (unsigned i = 0; i < 64 * STEPS; i++) {
        seen += histogram[i];
        if (seen >= wanted)
            return (double)((uint64_t)(i % STEPS) << (i / STEPS)) / 1000.0;
    }
    return 0.0;
}

static void open_connection(const struct load *load, struct connection *c, int poll)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)load->port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int on = 1;

    if (inet_pton(AF_INET, load->host, &to.sin_addr) != 1)
        die("inet_pton: the host must be a dotted IPv4 address");
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0)
        die("socket");
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("connect");
    if (setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        die("setsockopt(TCP_NODELAY)");
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0)
        die("fcntl");
    if (epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die("epoll_ctl");
    c->in_capacity = load->in_capacity;
    c->in = malloc(c->in_capacity);
    if (!c->in)
        die("malloc");
}

/* Send what is left of the request; ask for EPOLLOUT only while the socket's buffer is full. */
static void push(struct connection *c, int poll)
{
    while (c->sent < c->out_size) {
        ssize_t n = send(c->fd, c->out + c->sent, c->out_size - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN)
                break;
            die("send");
        }
        c->sent += (size_t)n;
    }
    int wants_write = c->sent < c->out_size;
    if (wants_write != c->wants_write) {
        struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c};
        if (epoll_ctl(poll, EPOLL_CTL_MOD, c->fd, &event) < 0)
            die("epoll_ctl");
        c->wants_write = wants_write;
    }
}

static void next_request(const struct load *load, struct connection *c, int poll)
{
    load->prepare(c);
    c->sequence++;
    c->sent = c->received = 0;
    c->started = now_ns();
    push(c, poll);
}

/* Receive what is there; return 1 where that made the answer whole. */
static int pull(const struct load *load, struct connection *c)
{
    if (c->received == c->in_capacity) {
        fprintf(stderr, "an answer is longer than %zu bytes\n", c->in_capacity);
        exit(1);
    }
    ssize_t n = recv(c->fd, c->in + c->received, c->in_capacity - c->received, 0);
    if (n < 0) {
        if (errno == EAGAIN)
            return 0;
        die("recv");
    }
    if (n == 0) {
        fprintf(stderr, "the server closed a connection after %llu requests\n", (unsigned long long)c->sequence);
        exit(1);
    }
    c->received += (size_t)n;
    switch (load->consume(c)) {
    case MORE:
        return 0;
    case COMPLETE:
        return 1;
    default:
        fprintf(stderr, "wrong answer to request %llu of a connection; it begins: %.*s\n",
                (unsigned long long)c->sequence, (int)(c->received < 300 ? c->received : 300), c->in);
        exit(1);
    }
}

static int by_size(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* The rate that one window in ten exceeds; windows holds how long each took, in ns. The average where there was none. */
static double fast_rate(uint64_t *windows, size_t count, uint64_t answers, double average)
{
    if (!count)
        return average;
    qsort(windows, count, sizeof *windows, by_size);
    return (double)answers * 1e9 / (double)windows[count / 10];
}

static void run_load(const struct load *load)
{
    struct epoll_event events[256];
    uint64_t requests = 0, all = 0, counted_from = 0;
    int poll = epoll_create1(0);
    struct connection *connections = calloc((size_t)load->connections, sizeof *connections);

    uint64_t window_answers = WINDOW_ANSWERS * (uint64_t)load->connections, window_began = 0, *windows = NULL;
    size_t window_count = 0, window_room = 0;

    if (poll < 0 || !connections)
        die("start");
    for (int i = 0; i < load->connections; i++)
        open_connection(load, &connections[i], poll);
    uint64_t start = now_ns(), warm = start + (uint64_t)(load->warm_up * 1e9);
    uint64_t end = warm + (uint64_t)(load->seconds * 1e9), now = start, last;
    for (int i = 0; i < load->connections; i++)
        next_request(load, &connections[i], poll);
    int under_way = load->connections;
    /* After the end, up to a second more for the answers still to come: connections that close with something unread
     * send a reset, and servers complain. */
    while (under_way && now < end + 1000000000u) {
        int n = epoll_wait(poll, events, 256, 100);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        now = now_ns();
        if (!counted_from && now >= warm)
            counted_from = window_began = now;
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                push(c, poll);
            if (!(events[i].events & ~EPOLLOUT) || !pull(load, c))
                continue;
            all++;
            last = now_ns();
            if (last >= end) {
                under_way--;
                continue;
            }
            if (counted_from) {
                requests++;
                c->answered++;
                note_latency(last - c->started);
                if (requests % window_answers == 0) {
                    if (window_count == window_room) {
                        window_room = window_room * 2 + 64;
                        windows = realloc(windows, window_room * sizeof *windows);
                        if (!windows)
                            die("realloc");
                    }
                    windows[window_count++] = last - window_began;
                    window_began = last;
                }
            }
            next_request(load, c, poll);
        }
    }
    uint64_t fewest = UINT64_MAX, most = 0;
    int starved = 0;
    for (int i = 0; i < load->connections; i++) {
        uint64_t answered = connections[i].answered;
        fewest = answered < fewest ? answered : fewest;
        most = answered > most ? answered : most;
        starved += !answered;
    }
    if (!requests || (starved && !load->may_starve)) {
        fprintf(stderr, "of %d connections %d had no answer within %.1f s (%llu answers in all)\n",
                load->connections, starved, load->seconds, (unsigned long long)requests);
        exit(1);
    }
    double seconds = (double)(end - counted_from) / 1e9;
    printf("{\"rate\": %.1f, \"fast_rate\": %.1f, \"requests\": %llu, \"requests_in_all\": %llu, \"seconds\": %.4f, "
           "\"connections\": %d, \"starved\": %d, \"fewest_per_connection\": %llu, \"most_per_connection\": %llu, "
           "\"latency_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}}\n",
           (double)requests / seconds, fast_rate(windows, window_count, window_answers, (double)requests / seconds), (unsigned long long)requests,
           (unsigned long long)all, seconds, load->connections, starved, (unsigned long long)fewest, (unsigned long long)most,
           percentile_us(requests, 0.5), percentile_us(requests, 0.9), percentile_us(requests, 0.99),
           percentile_us(requests, 0.999), percentile_us(requests, 1.0));
}

static double number(const char *text, const char *what)
{
    char *rest;
    double value = strtod(text, &rest);
    if (*text == 0 || *rest != 0 || value < 0) {
        fprintf(stderr, "%s must be a number, not '%s'\n", what, text);
        exit(2);
    }
    return value;
}

#endif

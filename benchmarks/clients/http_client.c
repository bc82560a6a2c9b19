/* Load for an HTTP server on keep-alive: the status, the length and the body of every response are compared.
 *
 *     http_client -p PORT (-e BODY | -s SIZE | -b SIZE) [-n HEADERS]
 *                 [-h HOST] [-u PATH] [-c CONNECTIONS] [-t SECONDS] [-w WARM_UP_SECONDS] [-f]
 *
 * The response's body is to be BODY, or SIZE octets counting from 0 to 255 again and again; with -b these are sent, too, by POST.
 * -n adds so many headers to each request. Responses must carry Content-Length. -f: connections that
 * had no answer at all are counted, and are no failure.
 */

#include "load.h"
#include <strings.h>

static const char *path = "/", *expected = "";
static char *request;
static size_t request_size, expected_size;

static void prepare(struct connection *c)
{
    c->out = request;
    c->out_size = request_size;
}

static enum consumed consume(struct connection *c)
{
    char *head_end = memmem(c->in, c->received, "\r\n\r\n", 4);
    if (!head_end)
        return MORE;
    size_t head_size = (size_t)(head_end - c->in) + 4;
    if (head_size < 16 || memcmp(c->in, "HTTP/1.1 200 ", 13) != 0)
        return WRONG;
    long length = -1;
    for (char *line = c->in; line < head_end;) {
        char *line_end = memmem(line, (size_t)(head_end + 2 - line), "\r\n", 2);
        size_t size = (size_t)(line_end - line);
        if (size > 15 && strncasecmp(line, "content-length:", 15) == 0)
            length = strtol(line + 15, NULL, 10);
        else if (size >= 17 && strncasecmp(line, "connection: close", 17) == 0)
            return WRONG;
        line = line_end + 2;
    }
    if (length != (long)expected_size || c->received > head_size + expected_size)
        return WRONG;
    if (c->received < head_size + expected_size)
        return MORE;
    return memcmp(c->in + head_size, expected, expected_size) == 0 ? COMPLETE : WRONG;
}

static char *counting(size_t size)
{
    char *octets = malloc(size + 1);
    if (!octets)
        die("malloc");
    for (size_t i = 0; i < size; i++)
        octets[i] = (char)i;
    return octets;
}

/* What a command line client or a proxy typically sends; a browser sends more. */
static void make_request(const struct load *load, int headers, size_t body_size)
{
    size_t room = strlen(path) + 256 + (size_t)headers * 64 + body_size;
    char *at = request = malloc(room);
    if (!request)
        die("malloc");
    at += sprintf(at, "%s %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: gevent-benchmark\r\nAccept: */*\r\n",
                  body_size ? "POST" : "GET", path, load->host, load->port);
    for (int i = 0; i < headers; i++)
        at += sprintf(at, "X-Number-%d: the value of header %d\r\n", i, i);
    if (body_size)
        at += sprintf(at, "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n", body_size);
    at += sprintf(at, "\r\n");
    if (body_size)
        memcpy(at, expected, body_size);
    request_size = (size_t)(at - request) + body_size;
}

int main(int argc, char **argv)
{
    struct load load = {.host = "127.0.0.1", .connections = 50, .seconds = 3, .warm_up = 0.5,
                        .in_capacity = 65536, .prepare = prepare, .consume = consume};
    size_t size = 0, body_size = 0;
    int option, headers = 0;
    while ((option = getopt(argc, argv, "h:p:c:u:e:t:w:s:b:n:f")) != -1) {
        switch (option) {
        case 'h': load.host = optarg; break;
        case 'p': load.port = (int)number(optarg, "the port"); break;
        case 'c': load.connections = (int)number(optarg, "the number of connections"); break;
        case 'u': path = optarg; break;
        case 'e': expected = optarg; break;
        case 's': size = (size_t)number(optarg, "the size"); break;
        case 'b': size = body_size = (size_t)number(optarg, "the size of the body"); break;
        case 'n': headers = (int)number(optarg, "the number of headers"); break;
        case 'f': load.may_starve = 1; break;
        case 't': load.seconds = number(optarg, "the duration"); break;
        case 'w': load.warm_up = number(optarg, "the warm-up"); break;
        default: return 2;
        }
    }
    if (!load.port || !load.connections || load.seconds <= 0) {
        fprintf(stderr, "usage: %s -p PORT (-e BODY | -s SIZE | -b SIZE) [-n HEADERS] [-h HOST] [-u PATH] [-c CONNECTIONS]"
                " [-t SECONDS] [-w SECONDS] [-f]\n", argv[0]);
        return 2;
    }
    if (size)
        expected = counting(size);
    expected_size = size ? size : strlen(expected);
    load.in_capacity += expected_size;
    make_request(&load, headers, body_size);
    run_load(&load);
    return 0;
}

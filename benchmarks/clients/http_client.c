/* Load for an HTTP server on keep-alive: the status, the length and the body of every response are compared.
 *
 *     http_client -p PORT -e EXPECTED_BODY [-h HOST] [-u PATH] [-c CONNECTIONS] [-t SECONDS] [-w WARM_UP_SECONDS]
 *
 * Responses must carry Content-Length; that is what a hello-world application sends.
 */

#include "load.h"
#include <strings.h>

static const char *path = "/", *expected = "";
static char request[2048];
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

int main(int argc, char **argv)
{
    struct load load = {.host = "127.0.0.1", .connections = 50, .seconds = 3, .warm_up = 0.5,
                        .in_capacity = 65536, .prepare = prepare, .consume = consume};
    int option;
    while ((option = getopt(argc, argv, "h:p:c:u:e:t:w:")) != -1) {
        switch (option) {
        case 'h': load.host = optarg; break;
        case 'p': load.port = (int)number(optarg, "the port"); break;
        case 'c': load.connections = (int)number(optarg, "the number of connections"); break;
        case 'u': path = optarg; break;
        case 'e': expected = optarg; break;
        case 't': load.seconds = number(optarg, "the duration"); break;
        case 'w': load.warm_up = number(optarg, "the warm-up"); break;
        default: return 2;
        }
    }
    if (!load.port || !load.connections || load.seconds <= 0) {
        fprintf(stderr, "usage: %s -p PORT -e BODY [-h HOST] [-u PATH] [-c CONNECTIONS] [-t SECONDS] [-w SECONDS]\n", argv[0]);
        return 2;
    }
    expected_size = strlen(expected);
    /* What a command line client or a proxy typically sends; a browser sends more. */
    int written = snprintf(request, sizeof request,
                           "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: gevent-benchmark\r\nAccept: */*\r\n\r\n",
                           path, load.host, load.port);
    if (written < 0 || (size_t)written >= sizeof request) {
        fprintf(stderr, "the path is too long\n");
        return 2;
    }
    request_size = (size_t)written;
    run_load(&load);
    return 0;
}

/* Load for an echo server: every message differs, and every byte that comes back is compared.
 *
 *     echo_client -p PORT [-h HOST] [-c CONNECTIONS] [-s BYTES] [-t SECONDS] [-w WARM_UP_SECONDS]
 */

#include "load.h"

static size_t message_size = 1024;

static void prepare(struct connection *c)
{
    if (!c->out) {
        c->out = malloc(message_size);
        if (!c->out)
            die("malloc");
        c->out_size = message_size;
        for (size_t i = 0; i < message_size; i++)
            c->out[i] = (char)('!' + (i * 7 + (size_t)c->fd) % 90);
    }
    uint64_t stamp = c->sequence;
    memcpy(c->out, &stamp, message_size < sizeof stamp ? message_size : sizeof stamp);
}

static enum consumed consume(struct connection *c)
{
    /* The in buffer is one byte longer than a message: an echo with something behind it is wrong. */
    if (c->received > message_size)
        return WRONG;
    if (c->received < message_size)
        return MORE;
    return memcmp(c->in, c->out, message_size) == 0 ? COMPLETE : WRONG;
}

int main(int argc, char **argv)
{
    struct load load = {.host = "127.0.0.1", .connections = 50, .seconds = 3, .warm_up = 0.5,
                        .prepare = prepare, .consume = consume};
    int option;
    while ((option = getopt(argc, argv, "h:p:c:s:t:w:")) != -1) {
        switch (option) {
        case 'h': load.host = optarg; break;
        case 'p': load.port = (int)number(optarg, "the port"); break;
        case 'c': load.connections = (int)number(optarg, "the number of connections"); break;
        case 's': message_size = (size_t)number(optarg, "the message size"); break;
        case 't': load.seconds = number(optarg, "the duration"); break;
        case 'w': load.warm_up = number(optarg, "the warm-up"); break;
        default: return 2;
        }
    }
    if (!load.port || !load.connections || !message_size || load.seconds <= 0) {
        fprintf(stderr, "usage: %s -p PORT [-h HOST] [-c CONNECTIONS] [-s BYTES] [-t SECONDS] [-w SECONDS]\n", argv[0]);
        return 2;
    }
    load.in_capacity = message_size + 1;
    run_load(&load);
    return 0;
}

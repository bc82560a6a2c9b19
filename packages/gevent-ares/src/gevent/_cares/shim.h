/* c-ares for gevent.ares: a channel that never calls Python.

   What c-ares reports through callbacks is put on two lists instead, one of answers and one of changed sockets, and Python takes
   from them after each call. So no Python code, no exception, no signal handler and no finalizer ever runs while c-ares is
   inside one of its functions, where most of them would be fatal (destroying the channel, for one).

   An answer is the request itself, which is allocated before anything is asked: failing to allocate loses an answer's text
   (ARES_ENOMEM), never the answer.

   Written for c-ares from 1.16 on. Its callbacks got const parameters in 1.34.7, hence the casts of function pointers. */

#define CARES_NO_DEPRECATED
#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

typedef struct gv_channel gv_channel;

typedef struct gv_answer {
    uint64_t request;          /* who asked */
    int status;                /* ARES_SUCCESS, or an error */
    int names;                 /* so many of the strings are names, the rest are addresses */
    size_t size;               /* bytes of text, the final NUL left out */
    char *text;                /* strings with a NUL between each two */
    int family;                /* of an address that was asked for, and the address */
    unsigned char address[16];
    gv_channel *channel;
    struct gv_answer *next;
} gv_answer;

typedef struct gv_change {
    int fd;
    int events;                /* 1: wants to read; 2: to write; 0: about to be closed */
} gv_change;

struct gv_channel {
    ares_channel ares;         /* NULL once closed */
    gv_answer *first, **last;  /* what was answered and not taken yet */
    gv_change *changes;        /* what of the sockets changed and was not taken yet, oldest first */
    size_t n_changes, room;
};

/* -- Text ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
    gv_answer *answer;
    size_t room;
    int failed;
} gv_writer;

static void gv_write(gv_writer *writer, const char *string)
{
    gv_answer *answer = writer->answer;
    size_t length = string == NULL ? 0 : strlen(string);
    if (writer->failed)
        return;
    if (answer->size + length + 1 > writer->room) {
        size_t room = 2 * (answer->size + length + 1) + 64;
        char *text = realloc(answer->text, room);
        if (text == NULL) {
            writer->failed = 1;
            return;
        }
        answer->text = text;
        writer->room = room;
    }
    if (length)
        memcpy(answer->text + answer->size, string, length);
    answer->size += length;
    answer->text[answer->size++] = 0;
}

static void gv_write_name(gv_writer *writer, const char *name)
{
    gv_write(writer, name);
    writer->answer->names++;
}

static void gv_write_address(gv_writer *writer, int family, const void *address)
{
    char text[INET6_ADDRSTRLEN];
    if (inet_ntop(family, address, text, sizeof text) != NULL)
        gv_write(writer, text);
}

/* -- What c-ares calls --------------------------------------------------------------------------------------------------- */

static void gv_finish(gv_writer *writer, int status)
{
    gv_answer *answer = writer->answer;
    answer->status = writer->failed ? ARES_ENOMEM : status;
    if (answer->size)
        answer->size--;
    answer->next = NULL;
    *answer->channel->last = answer;
    answer->channel->last = &answer->next;
}

static void gv_on_addrinfo(void *argument, int status, int timeouts, struct ares_addrinfo *found)
{
    gv_writer writer = {(gv_answer *)argument, 0, 0};
    (void)timeouts;
    if (status == ARES_SUCCESS && found != NULL) {
        struct ares_addrinfo_cname *alias;
        struct ares_addrinfo_node *node;
        /* Each link of the chain of CNAMEs is written as alias and name; no links: the name of the answer. */
        for (alias = found->cnames; alias != NULL; alias = alias->next) {
            gv_write_name(&writer, alias->alias);
            gv_write_name(&writer, alias->name);
        }
        if (found->cnames == NULL)
            gv_write_name(&writer, found->name);
        for (node = found->nodes; node != NULL; node = node->ai_next) {
            if (node->ai_family == AF_INET)
                gv_write_address(&writer, AF_INET, &((struct sockaddr_in *)node->ai_addr)->sin_addr);
            else if (node->ai_family == AF_INET6)
                gv_write_address(&writer, AF_INET6, &((struct sockaddr_in6 *)node->ai_addr)->sin6_addr);
        }
    }
    if (found != NULL)
        ares_freeaddrinfo(found);
    gv_finish(&writer, status);
}

static void gv_on_pointer(void *argument, int status, int timeouts, const unsigned char *packet, int size)
{
    gv_writer writer = {(gv_answer *)argument, 0, 0};
    int family = writer.answer->family;
    (void)timeouts;
    if (status == ARES_SUCCESS) {
        struct hostent *host = NULL;
        status = ares_parse_ptr_reply(packet, size, writer.answer->address, family == AF_INET ? 4 : 16, family, &host);
        if (status == ARES_SUCCESS) {
            char **each;
            gv_write_name(&writer, host->h_name);
            for (each = host->h_aliases; each != NULL && *each != NULL; each++)
                gv_write_name(&writer, *each);
        }
        if (host != NULL)
            ares_free_hostent(host);
    }
    gv_finish(&writer, status);
}

static void gv_on_socket(void *argument, ares_socket_t fd, int readable, int writable)
{
    gv_channel *channel = argument;
    gv_change change = {fd, (readable ? 1 : 0) | (writable ? 2 : 0)};
    if (channel->n_changes == channel->room) {
        size_t room = 2 * channel->room + 16;
        gv_change *changes = realloc(channel->changes, room * sizeof *changes);
        if (changes == NULL)
            return;            /* the socket is not watched: its queries time out */
        channel->changes = changes;
        channel->room = room;
    }
    channel->changes[channel->n_changes++] = change;
}

/* -- Sockets -------------------------------------------------------------------------------------------------------------

   c-ares's own calls, but for what comes in: a datagram that is shorter than the header of a DNS message is no answer to anything, and
   is not shown to c-ares. An empty one passes for the end of the connection in releases before 1.19.1, and in 1.34.5 for something
   after which the socket is never read again. */

#define GV_HEADER 12

static ares_socket_t gv_socket(int domain, int type, int protocol, void *unused)
{
    int fd = socket(domain, type, protocol), size = 4 << 20;
    (void)unused;
    if (fd < 0)
        return ARES_SOCKET_BAD;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        close(fd);
        return ARES_SOCKET_BAD;
    }
    /* The kernel gives what it can: bursts of answers have to find room while Python is busy with the ones before. */
    if (type == SOCK_DGRAM)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return fd;
}

static int gv_close_socket(ares_socket_t fd, void *unused)
{
    (void)unused;
    return close(fd);
}

static ares_ssize_t gv_receive(ares_socket_t fd, void *data, size_t room, int flags, struct sockaddr *from, ares_socklen_t *length,
                               void *unused)
{
    int dropped;
    ares_socklen_t at_first = length == NULL ? 0 : *length;
    (void)unused;
    for (dropped = 0; dropped < 1000; dropped++) {
        int type = 0;
        socklen_t size = sizeof type;
        ares_ssize_t n;
        if (length != NULL)
            *length = at_first;
        n = recvfrom(fd, data, room, flags, from, length);
        if (n < 0 || n >= GV_HEADER || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_DGRAM)
            return n;
    }
    errno = EAGAIN;             /* the rest the next time */
    return -1;
}

#if ARES_VERSION >= 0x012200  /* 1.34: another table, where the older one would lose the order of addresses, which takes agetsockname */

static int gv_connect(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t length, unsigned int flags, void *unused)
{
    (void)flags;
    (void)unused;
    return connect(fd, address, length);
}

static ares_ssize_t gv_send(ares_socket_t fd, const void *data, size_t size, int flags, const struct sockaddr *address,
                            ares_socklen_t length, void *unused)
{
    (void)unused;
    return sendto(fd, data, size, flags | MSG_NOSIGNAL, address, length);
}

static int gv_set_option(ares_socket_t fd, ares_socket_opt_t option, const void *value, ares_socklen_t size, void *unused)
{
    (void)fd, (void)option, (void)value, (void)size, (void)unused;
    errno = ENOSYS;             /* there is nothing that we ask c-ares to set */
    return -1;
}

static int gv_name_of_socket(ares_socket_t fd, struct sockaddr *address, ares_socklen_t *length, void *unused)
{
    (void)unused;
    return getsockname(fd, address, length);
}

static void gv_use_our_sockets(ares_channel ares)
{
    struct ares_socket_functions_ex functions;
    memset(&functions, 0, sizeof functions);
    functions.version = 1;
    functions.flags = ARES_SOCKFUNC_FLAG_NONBLOCKING;
    functions.asocket = gv_socket;
    functions.aclose = gv_close_socket;
    functions.asetsockopt = gv_set_option;
    functions.aconnect = gv_connect;
    functions.arecvfrom = gv_receive;
    functions.asendto = gv_send;
    functions.agetsockname = gv_name_of_socket;
    ares_set_socket_functions_ex(ares, &functions, NULL);
}

#else

static int gv_connect(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t length, void *unused)
{
    (void)unused;
    return connect(fd, address, length);
}

static ares_ssize_t gv_send(ares_socket_t fd, const struct iovec *pieces, int count, void *unused)
{
    struct msghdr message;
    (void)unused;
    memset(&message, 0, sizeof message);
    message.msg_iov = (struct iovec *)pieces;
    message.msg_iovlen = count;
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static void gv_use_our_sockets(ares_channel ares)
{
    static const struct ares_socket_functions functions = {gv_socket, gv_close_socket, gv_connect, gv_receive, gv_send};
    ares_set_socket_functions(ares, &functions, NULL);
}

#endif

/* -- What Python calls --------------------------------------------------------------------------------------------------- */

/* Everything that is out is answered with ARES_EDESTRUCTION, every socket closed. */
static void gv_close(gv_channel *channel)
{
    ares_channel ares = channel->ares;
    channel->ares = NULL;
    if (ares != NULL)
        ares_destroy(ares);
}

static gv_answer *gv_take_answer(gv_channel *channel)
{
    gv_answer *answer = channel->first;
    if (answer != NULL) {
        channel->first = answer->next;
        if (channel->first == NULL)
            channel->last = &channel->first;
    }
    return answer;
}

static void gv_free_answer(gv_answer *answer)
{
    free(answer->text);
    free(answer);
}

static void gv_free(gv_channel *channel)
{
    gv_answer *answer;
    gv_close(channel);
    while ((answer = gv_take_answer(channel)) != NULL)
        gv_free_answer(answer);
    free(channel->changes);
    free(channel);
}

/* A new channel, or NULL with the reason in *status. What the mask of ARES_OPT_* does not name is left to c-ares. */
static gv_channel *gv_open(int mask, int flags, int milliseconds, int tries, int ndots, int udp_port, int tcp_port, int *status)
{
    struct ares_options options;
    gv_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        *status = ARES_ENOMEM;
        return NULL;
    }
    channel->last = &channel->first;
    memset(&options, 0, sizeof options);
    options.flags = flags;
    options.timeout = milliseconds;
    options.tries = tries;
    options.ndots = ndots;
    options.udp_port = (unsigned short)udp_port;
    options.tcp_port = (unsigned short)tcp_port;
    options.lookups = (char *)"b";  /* name servers only: the hosts file is read by _hosts_file.py */
    options.sock_state_cb = gv_on_socket;
    options.sock_state_cb_data = channel;
    mask |= ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
#ifdef ARES_OPT_QUERY_CACHE
    options.qcache_max_ttl = 0;  /* as libc, and as c-ares before it had a cache: every look-up asks */
    mask |= ARES_OPT_QUERY_CACHE;
#endif
    *status = ares_init_options(&channel->ares, &options, mask);
    if (*status != ARES_SUCCESS) {
        channel->ares = NULL;
        gv_free(channel);
        return NULL;
    }
    gv_use_our_sockets(channel->ares);
    return channel;
}

static gv_answer *gv_request(gv_channel *channel, uint64_t request)
{
    gv_answer *answer = calloc(1, sizeof *answer);
    if (answer != NULL) {
        answer->request = request;
        answer->channel = channel;
    }
    return answer;
}

/* The two questions. Each returns whether there was memory for it. */

static int gv_getaddrinfo(gv_channel *channel, uint64_t request, const char *name, int family, int flags)
{
    struct ares_addrinfo_hints hints = {flags, family, 0, 0};
    gv_answer *answer = gv_request(channel, request);
    if (answer != NULL)
        ares_getaddrinfo(channel->ares, name, NULL, &hints, (ares_addrinfo_callback)gv_on_addrinfo, answer);
    return answer != NULL;
}

/* Asks for the names of an address. It is not ares_gethostbyaddr(), which makes ARES_ENOTFOUND of every failure, time-outs included. */
static int gv_getnames(gv_channel *channel, uint64_t request, int family, const char *address)
{
    char name[80], *end = name;
    const unsigned char *bytes = (const unsigned char *)address;
    int i;
    gv_answer *answer = gv_request(channel, request);
    if (answer == NULL)
        return 0;
    answer->family = family;
    memcpy(answer->address, address, family == AF_INET ? 4 : 16);
    if (family == AF_INET)
        for (i = 3; i >= 0; i--)
            end += sprintf(end, "%d.", bytes[i]);
    else
        for (i = 15; i >= 0; i--)
            end += sprintf(end, "%x.%x.", bytes[i] & 15, bytes[i] >> 4);
    strcpy(end, family == AF_INET ? "in-addr.arpa" : "ip6.arpa");
    ares_query(channel->ares, name, 1 /* IN */, 12 /* PTR */, (ares_callback)gv_on_pointer, answer);
    return 1;
}

static int gv_set_servers(gv_channel *channel, const char *servers)
{
    return ares_set_servers_ports_csv(channel->ares, servers);
}

/* Either descriptor may be -1; with both, only the time-outs are looked at. */
static void gv_process(gv_channel *channel, int read_fd, int write_fd)
{
    ares_process_fd(channel->ares, read_fd, write_fd);
}

/* How c-ares is set up: into *first the seconds of its first time-out; into *bound those after which it has given up on a question at
   the latest: tries with doubling time-outs, each with every server, for the name itself and with every search domain. Newer releases
   tell only what we have set ourselves: for the rest stands what was c-ares's own choice when it was longest. */
static int gv_limits(gv_channel *channel, double *first, double *bound)
{
    struct ares_options options;
    struct ares_addr_port_node *servers = NULL, *each;
    int mask = 0, i, n_servers = 0, status;
    double step;
    memset(&options, 0, sizeof options);
    status = ares_save_options(channel->ares, &options, &mask);
    if (status == ARES_SUCCESS) {
        if (ares_get_servers_ports(channel->ares, &servers) == ARES_SUCCESS)
            for (each = servers; each != NULL; each = each->next)
                n_servers++;
        if (!(mask & (ARES_OPT_TIMEOUT | ARES_OPT_TIMEOUTMS)))
            options.timeout = 5;
        if (!(mask & ARES_OPT_TRIES))
            options.tries = 4;
        *first = step = options.timeout / ((mask & ARES_OPT_TIMEOUTMS) ? 1000.0 : 1.0);
        *bound = 0;
        for (i = 0; i < options.tries && i < 32; i++, step *= 2)
            *bound += step;
        *bound *= (n_servers ? n_servers : 1) * (options.ndomains + 1.0);
        if (servers != NULL)
            ares_free_data(servers);
    }
    ares_destroy_options(&options);
    return status;
}

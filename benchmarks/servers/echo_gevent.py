"""TCP echo by gevent.server.StreamServer: what a user would write. Prints the port it listens on."""

from gevent.server import StreamServer


def echo(sock, address):
    """Send back what comes until the client closes."""
    while True:
        data = sock.recv(65536)
        if not data:
            return
        sock.sendall(data)


def main():
    """Serve until killed."""
    server = StreamServer(("127.0.0.1", 0), echo, backlog=1024)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

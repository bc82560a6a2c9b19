"""Send a message by UDP and print the answer; ask again where one of the two got lost on the way.

python examples/udp_client.py HOST PORT [MESSAGE]
"""

import sys

from gevent import socket


def ask(address, message, tries=4, seconds=0.1):
    """The answer of the server at *address*. TimeoutError after *tries*, each waiting twice as long as the one before."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.connect(address)  # so that datagrams of others are not received, and a closed port is noticed
        for attempt in range(tries):
            connection.send(message)
            connection.settimeout(seconds * 2**attempt)
            try:
                return connection.recv(65536)
            except socket.timeout:
                continue
    raise TimeoutError(f"{address[0]}:{address[1]} did not answer {tries} times")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        print(ask((sys.argv[1], int(sys.argv[2])), (sys.argv[3] if len(sys.argv) > 3 else "hello").encode()).decode())
    except OSError as error:
        sys.exit(f"no answer: {error}")

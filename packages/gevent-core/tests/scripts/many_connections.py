"""So many TCP connections open at once on one hub, each echoed over several times. argument: how many.

Two processes, one for each end, since few systems allow one process the descriptors of both.
"""

import resource
import subprocess
import sys

import gevent
from gevent import socket
from gevent.event import Event
from gevent.server import StreamServer

number, rounds = int(sys.argv[1]), 3
resource.setrlimit(resource.RLIMIT_NOFILE, (number + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def serve():
    served = []

    def echo(client, address):
        while data := client.recv(100):
            client.sendall(data)
        served.append(address)
        if len(served) == number:
            server.stop()

    server = StreamServer(("127.0.0.1", 0), echo, backlog=1024)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()
    assert gevent.wait(timeout=30)


def talk_to(port):
    go = Event()
    connected = []

    def talk(index):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connected.append(index)
            go.wait()
            for turn in range(rounds):
                message = b"%d %d" % (index, turn)
                connection.sendall(message)
                assert connection.recv(100) == message
        return index

    jobs = []
    for index in range(number):
        jobs.append(gevent.spawn(talk, index))
        if index % 200 == 199:  # no more at once than the backlog holds
            while len(connected) <= index:
                gevent.sleep(0)
    assert len(connected) == number
    go.set()
    gevent.joinall(jobs, raise_error=True)
    assert [job.value for job in jobs] == list(range(number))


if sys.argv[2:] == ["serve"]:
    serve()
else:
    with subprocess.Popen([sys.executable, __file__, str(number), "serve"], stdout=subprocess.PIPE) as server:
        talk_to(int(server.stdout.readline()))
    assert server.returncode == 0
    print("ok")

"""zmq.green: a question and its answer while others run, a poll that ends; and zerorpc over it, at the address of the command line."""

import sys

import gevent
import zerorpc
import zmq.green as zmq

context = zmq.Context()
answering, asking = context.socket(zmq.REP), context.socket(zmq.REQ)
asking.connect(f"tcp://127.0.0.1:{answering.bind_to_random_port('tcp://127.0.0.1')}")
turns = 0


def answer():
    while True:
        answering.send(answering.recv()[::-1])


def count():
    global turns
    while True:
        gevent.sleep(0.001)
        turns += 1


others = [gevent.spawn(answer), gevent.spawn(count)]
for _ in range(200):
    asking.send(b"abc")
    assert asking.recv() == b"cba"
poller = zmq.Poller()
poller.register(asking, zmq.POLLIN)
before = turns
assert poller.poll(50) == []
assert turns > before
gevent.killall(others)


class Service:
    def greet(self, name):
        return f"hello {name}"

    @zerorpc.stream
    def count(self, number):
        return iter(range(number))


server = zerorpc.Server(Service())
server.bind(sys.argv[1])
serving = gevent.spawn(server.run)
client = zerorpc.Client(timeout=20)
client.connect(sys.argv[1])
assert client.greet("world") == "hello world"
assert list(client.count(5)) == [0, 1, 2, 3, 4]
client.close()
server.stop()
serving.join(20)
print("ok")

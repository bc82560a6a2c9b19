"""gevent-websocket's handler and its server, with websocket-client as the client."""

from gevent import monkey

monkey.patch_all()

import urllib.request
from collections import OrderedDict

import websocket
from gevent.pywsgi import WSGIServer
from geventwebsocket import Resource, WebSocketApplication, WebSocketServer
from geventwebsocket.handler import WebSocketHandler


def application(environ, start_response):
    """Send each message back the other way round; plain requests get an ordinary answer."""
    connection = environ.get("wsgi.websocket")
    if connection is None:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"plain"]
    while True:
        message = connection.receive()
        if message is None:
            return []
        connection.send(message[::-1])


class Echo(WebSocketApplication):
    def on_message(self, message):
        if message is not None:
            self.ws.send(message)


def talk(port, text):
    client = websocket.create_connection(f"ws://127.0.0.1:{port}/", timeout=20)
    client.send(text)
    answer = client.recv()
    client.close()
    return answer


server = WSGIServer(("127.0.0.1", 0), application, handler_class=WebSocketHandler, log=None)
server.start()
assert talk(server.server_port, "abc") == "cba"
with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=20) as response:
    assert response.read() == b"plain"
server.stop()

server = WebSocketServer(("127.0.0.1", 0), Resource(OrderedDict([("/", Echo)])), debug=False)
server.start()
assert talk(server.server_port, "x" * 70000) == "x" * 70000
server.stop()
print("ok")

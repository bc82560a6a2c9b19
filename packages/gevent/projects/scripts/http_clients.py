"""geventhttpclient's connection pool and grequests, against gevent.pywsgi."""

from gevent import monkey

monkey.patch_all()

import grequests
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer
from geventhttpclient import HTTPClient


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


server = WSGIServer(("127.0.0.1", 0), application, log=None)
server.start()
url = f"http://127.0.0.1:{server.server_port}"

client = HTTPClient.from_url(url, concurrency=10)
assert Pool(20).map(lambda number: client.get(f"/{number}").read(), range(200)) == [b"/%d" % number for number in range(200)]
client.close()

responses = grequests.map([grequests.get(f"{url}/{number}") for number in range(50)], size=10)
assert [response.text for response in responses] == [f"/{number}" for number in range(50)]
assert sum(response.ok for response in grequests.imap([grequests.get(url) for _ in range(10)], size=5)) == 10
print("ok")

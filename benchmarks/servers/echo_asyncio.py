"""TCP echo by asyncio or uvloop, over streams or a Protocol.

    python echo_asyncio.py {asyncio,uvloop} {streams,protocol}

Prints the port it listens on.
"""

import asyncio
import sys


async def echo(reader, writer):
    """Send back what comes until the client closes."""
    while True:
        data = await reader.read(65536)
        if not data:
            writer.close()
            return
        writer.write(data)
        await writer.drain()


class Echo(asyncio.Protocol):
    """The same by callbacks."""

    def connection_made(self, transport):
        """Keep the transport to write to."""
        self.transport = transport

    def data_received(self, data):
        """Send back what came."""
        self.transport.write(data)


async def serve(style):
    """Serve until killed."""
    if style == "streams":
        server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=1024)
    else:
        server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main():
    """Choose the loop and run it."""
    which, style = sys.argv[1:]
    if which == "uvloop":
        import uvloop

        loop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    loop.run_until_complete(serve(style))


if __name__ == "__main__":
    main()

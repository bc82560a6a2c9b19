"""Print the libev backend of the hub's loop, or the error that making the hub gives."""

from core_support import core
from gevent.hub import get_hub

try:
    loop = get_hub().loop
except ValueError as error:
    print("ValueError", error)
else:
    assert isinstance(loop, core.loop)
    print(loop.backend)
print("ok")

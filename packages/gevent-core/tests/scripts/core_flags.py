"""Print the backend that a loop has when nobody asks for one."""

from core_support import core

loop = core.loop(default=False)
print(loop.backend)
loop.destroy()
loop = core.loop(default=True)
print(loop.backend)
print("ok")

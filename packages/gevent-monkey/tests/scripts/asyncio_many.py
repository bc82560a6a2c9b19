"""asyncio in a patched process: loops in several greenlets of one thread, executors, children; blocking calls inside coroutines."""

import sys

if sys.argv[1] == "late":
    import asyncio
from gevent import monkey

monkey.patch_all()

import asyncio  # noqa: E402
import time  # noqa: E402

import gevent  # noqa: E402

CHILD = "import os; assert os.get_blocking(0); print(input()[::-1])"


async def several(name):
    loop = asyncio.get_running_loop()
    for _ in range(5):
        await asyncio.sleep(0.002)
        time.sleep(0.001)  # which lets other greenlets run, in the middle of a callback
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task().get_name() == name, asyncio.current_task()
        asyncio.Future().cancel()
    found = await loop.run_in_executor(None, time.sleep, 0.001)
    assert found is None
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate(b"olleh\n")
    assert process.returncode == 0
    await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(3)))
    return output


async def named(name):
    asyncio.current_task().set_name(name)
    return await several(name)


jobs = [gevent.spawn(asyncio.run, named(f"job-{number}")) for number in range(4)]
gevent.joinall(jobs, raise_error=True)
assert [job.value for job in jobs] == [b"hello\n"] * 4, [job.value for job in jobs]
assert asyncio.run(named("main")) == b"hello\n"
print("done")

__all__ = ["sleep"]

__implements__: list[str]
__imports__: list[str]

def sleep(seconds: float = 0, ref: bool = True) -> None: ...

from time import *  # type: ignore[assignment]  # noqa: E402, F403  all of the standard module

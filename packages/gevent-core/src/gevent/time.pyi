from time import *  # noqa: F403  all of the standard module
from time import sleep as sleep

__all__ = ["sleep"]

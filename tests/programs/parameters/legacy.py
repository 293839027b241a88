import dataclasses
import functools
import typing

from looking import act, around


def function(a, mode=None, *, strict=False, **more):
    if a == "around":
        return around()
    return act(a, (a, mode, strict, more))


class Thing:
    def __init__(self, a=1, mode=None):
        self.a, self.mode = a, mode

    def method(self, a, mode=None):
        return act(a, (a, mode))

    @classmethod
    def klass(cls, a, mode=None):
        return cls.__name__, a, mode

    @staticmethod
    def static(a, mode=None):
        return a, mode


async def coroutine(a, mode=None):
    return a, mode


def decorate(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)

    return inner


@decorate
def decorated(a, mode=None):
    return a, mode


@functools.lru_cache
def cached(a, mode=None):
    return a, mode


@dataclasses.dataclass
class Data:
    a: int = 1
    mode: int = 2


class Pair(typing.NamedTuple):
    a: int = 1
    mode: int = 2


class New:
    def __new__(cls, a=1, mode=None):
        made = super().__new__(cls)
        made.mode = mode
        return made


class Heir(Thing):
    pass

import asyncio
import contextlib

from looking import act, around


async def coroutine(action="", b=2, *rest, c=3):
    if action == "around":
        return around()[:2]
    await asyncio.sleep(0)
    return act(action, (action, b, rest, c))


def generator(action="", times=2):
    for turn in range(times):
        got = yield act(action, turn)
        if got:
            yield got
    return "done"


async def stream(action="", times=2):
    for turn in range(times):
        yield act(action, turn)


@contextlib.contextmanager
def decorated(action=""):
    yield act(action, "inside")

import asyncio
import copy
import functools
import gc
import inspect
import pickle
import traceback
import warnings
from unittest import mock

import legacy
from seeing import show

warnings.simplefilter("always")


async def main():
    print(await legacy.coroutine("x"))  # 1x legacy.coroutine
    later = legacy.coroutine("y")  # 1x legacy.coroutine
    show("kind", lambda: (type(later).__name__, later.__name__, later.__qualname__, inspect.iscoroutine(later), later.cr_code.co_name))
    task = asyncio.create_task(later)
    print(await task)
    print(await asyncio.gather(*map(legacy.coroutine, range(5))))  # 5x asyncio.gather
    print(await legacy.coroutine("around"))  # 1x legacy.coroutine
    await asyncio.wait_for(legacy.coroutine(), 5)  # 1x legacy.coroutine
    print([item async for item in legacy.stream("s", 3)])  # 1x legacy.stream
    unstarted = legacy.stream()  # 1x legacy.stream
    show("async generator", lambda: (type(unstarted).__name__, inspect.isasyncgen(unstarted)))
    await unstarted.aclose()
    try:
        await legacy.coroutine("raise")  # 1x legacy.coroutine
    except ValueError:
        print(traceback.format_exc())
    try:
        async for _item in legacy.stream("raise"):  # 1x legacy.stream
            pass
    except ValueError:
        print(traceback.format_exc())


asyncio.run(main())
FOUR = (legacy.coroutine, legacy.generator, legacy.stream, legacy.decorated)
show("predicates", lambda: [(inspect.iscoroutinefunction(f), asyncio.iscoroutinefunction(f), inspect.isgeneratorfunction(f),
     inspect.isasyncgenfunction(f), inspect.isfunction(f), inspect.isawaitable(f)) for f in FOUR])
show("signatures", lambda: [str(inspect.signature(f)) for f in FOUR])
show("pickle", lambda: [pickle.loads(pickle.dumps(f)) is f for f in FOUR])
show("copy", lambda: [copy.deepcopy(f) is f for f in FOUR])
show("repr", lambda: [repr(f) for f in FOUR])


def not_awaited():
    legacy.coroutine("never")  # 1x legacy.coroutine
    gc.collect()


not_awaited()
show("misfit", lambda: legacy.coroutine(nothing=1))  # 1x! legacy.coroutine
show("misfit generator", lambda: legacy.generator(1, 2, 3))  # 1x! legacy.generator
show("misfit stream", lambda: legacy.stream(1, 2, 3))  # 1x! legacy.stream
show("run wrong", lambda: asyncio.run(legacy.generator()))  # 1x legacy.generator
show("iterate wrong", lambda: list(legacy.stream()))  # 1x legacy.stream
show("use as value", lambda: legacy.coroutine("z").upper())  # 1x legacy.coroutine

show("generator", lambda: list(legacy.generator("g", 3)))  # 1x legacy.generator


def delegate():
    result = yield from legacy.generator("x", 1)  # 1x legacy.generator
    yield result


show("delegated", lambda: list(delegate()))
sending = legacy.generator("y")  # 1x legacy.generator
show("send", lambda: (next(sending), sending.send("me"), sending.gi_frame.f_lineno, sending.gi_code.co_name))
show("throw", lambda: sending.throw(KeyError("k")))
show("close", lambda: sending.close())
show("raising", lambda: list(legacy.generator("raise")))  # 1x legacy.generator
show("warning", lambda: list(legacy.generator("warn", 1)))  # 1x legacy.generator


def managed():
    with legacy.decorated("warn") as inside:  # 1x legacy.decorated
        return inside


show("context manager", managed)
show("as a decorator", lambda: legacy.decorated()(len)("abc"))  # 1x legacy.decorated
show("context raises", lambda: legacy.decorated("raise").__enter__())  # 1x legacy.decorated


@functools.wraps(legacy.coroutine)
async def around(*args):
    return await legacy.coroutine(*args)  # 1x legacy.coroutine


show("wrapped", lambda: (asyncio.run(around("w")), inspect.iscoroutinefunction(around), inspect.signature(around)))
show("autospec", lambda: type(mock.create_autospec(legacy.coroutine)).__name__)


def patched():
    with mock.patch("legacy.coroutine", autospec=True) as fake:
        fake.return_value = 7
        return asyncio.run(legacy.coroutine("x")), fake.await_count


show("mock.patch", patched)

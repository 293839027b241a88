import functools

import wrapt


def _decorator(function):
    @functools.wraps(function)
    def around(*args):
        return "decorated", function(*args)

    return around


@_decorator
def wrapped(value=1):
    return value


@functools.lru_cache
def cached(value=1):
    """Made once."""
    return object()


class _Counted(wrapt.FunctionWrapper):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._self_calls = 0

    def __call__(self, *args, **kwargs):
        self._self_calls += 1
        return super().__call__(*args, **kwargs)


def by_wrapt(value=1):
    return value


by_wrapt = _Counted(by_wrapt, lambda function, _instance, args, kwargs: ("around", function(*args, **kwargs)))

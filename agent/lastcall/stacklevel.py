"""Which frames a `stacklevel` means: the one that a warning blames, and the one that it called.

As `warnings.warn` walks, in C: the import machinery's frames do not count, unless the first is one of them.
"""

from __future__ import annotations

import sys
from operator import index
from types import FunctionType

from . import hotpath
from .callsite import STDLIB

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any


_LOOKED_AT = None if sys.version_info >= (3, 14) else -1
"""Before, C leaves a name's last character out, so that a prefix which is the whole name (`__file__`) skips nothing."""


def as_c_takes(level: Any, prefixes: Any) -> int | None:
    """The `stacklevel`, None if C refuses it, or the `skip_file_prefixes` beside it, and gives no warning."""
    if not issubclass(type(prefixes), tuple) or not all(issubclass(type(one), str) for one in prefixes):
        return None
    try:
        number = index(level)
    except TypeError:
        return None
    return number if abs(number) <= sys.maxsize else None


def warned_about(
    frame: FrameType, level: int, prefixes: tuple[str, ...]
) -> tuple[FrameType | None, FrameType]:
    """The frame that a warning issued in `frame` blames, and the frame it called: the deprecated one.

    As `warnings.warn` walks: frames of the import machinery are skipped, unless the first is one, so that a
    module which warns of itself blames the import statement; with `skip_file_prefixes` frames of those files
    too. Without a `stacklevel` a function blames its own line. A level that goes past the outermost frame means
    that one, of which Python knows no more than `sys:1`; None if it is the one that warns.
    """
    if level <= 1 and not prefixes:
        return frame, frame
    where, deprecated = _blamed(frame, level, prefixes)
    while hotpath.is_wrapper_frame(deprecated) and deprecated is not frame:
        deprecated = _called_by(deprecated, frame)
    return where, deprecated


def called_through(deprecated: FrameType, frame: FrameType, kind_of: Callable[[CodeType], int]) -> FrameType:
    """What was called through `deprecated`, if that is the standard library's and `frame`, which warns, is not:
    `contextlib` enters a generator, `functools` chooses an implementation."""
    if kind_of(deprecated.f_code) != STDLIB or kind_of(frame.f_code) == STDLIB:
        return deprecated
    found, outer = frame, frame.f_back
    while outer is not None and outer is not deprecated:
        if kind_of(outer.f_code) != STDLIB:
            found = outer
        outer = outer.f_back
    return found


def _called_by(caller: FrameType, frame: FrameType) -> FrameType:
    """The frame, from `frame` outwards, that `caller` called."""
    while frame.f_back is not None and frame.f_back is not caller:
        frame = frame.f_back
    return frame


def _blamed(frame: FrameType, level: int, prefixes: tuple[str, ...]) -> tuple[FrameType | None, FrameType]:
    called = deprecated = frame
    current: FrameType | None = frame
    skips = prefixes or not is_internal(frame)
    for _ in range(level - 1):
        if current is None:
            break
        called, deprecated, current = deprecated, current, current.f_back
        while (
            skips
            and current is not None
            and (
                ("importlib" in current.f_code.co_filename and is_internal(current))
                or (prefixes and is_skipped(current, prefixes))
            )
        ):
            if prefixes:
                deprecated = current
            current = current.f_back
    if current is None and deprecated is not frame and not prefixes:
        return deprecated, called
    return current, deprecated


def is_skipped(frame: FrameType, prefixes: Any) -> bool:
    """Whether C passes over this frame for its file's name. Anything but a tuple is an error of the host's."""
    return type(prefixes) is tuple and frame.f_code.co_filename[:_LOOKED_AT].startswith(prefixes)


def is_internal(frame: FrameType) -> bool:
    """Whether C takes this frame for one of the import machinery's."""
    filename = frame.f_code.co_filename
    return "importlib" in filename and "_bootstrap" in filename


def among_importers(wrapped: Any) -> Any:
    """Calls `wrapped` from a frame that is taken for the import machinery's, from which on no frames are skipped."""

    def warn(*args: Any, **kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    code = warn.__code__.replace(co_filename=__file__ + " for importlib._bootstrap")
    return FunctionType(code, globals(), "warn", None, warn.__closure__)

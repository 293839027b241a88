"""Deprecation warnings that name their place themselves: `warnings.warn_explicit`.

The function that issues one is the deprecated callable. The use is at the frame on the stack that the warning names by
file and line, or at the issuing line where no such frame is there. Its arguments are seen in a frame of ours: it blames
nobody by counting frames, so that one shows only in the traceback of a warning that a filter turns into an error.
"""

from __future__ import annotations

from . import hotpath
from .callsite import MAX_FRAMES
from .errors import getframe
from .warning_words import category_of
from .words import OWN_PACKAGES

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Any

    from .warnings_seen import WarningsSeen

_POSITIONAL = ("message", "category", "filename", "lineno")


def arm(seen: WarningsSeen, module: ModuleType) -> None:
    """Wrap `warnings.warn_explicit`, and wherever it was imported by name already."""
    from .engines import wrapping

    original = vars(module).get("warn_explicit")
    if original is None or wrapping.is_wrapper(original):
        return

    def with_frame(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            frame = hotpath.caller_behind_wrapt(getframe(1))
            if frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] not in OWN_PACKAGES:
                _count(seen, frame, dict(zip(_POSITIONAL, args, strict=False)) | kwargs)
        except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
            hotpath.record_unless_hosts(seen.recorder.errors, "warning", error)
        return wrapped(*args, **kwargs)

    seen.put_everywhere(module, "warn_explicit", original, wrapping.a_kind_for(original)(original, with_frame))


def _count(seen: WarningsSeen, frame: FrameType, values: dict[str, Any]) -> None:
    message = values.get("message")
    category = category_of(message, values.get("category"))
    if seen.wants(category):
        level = _level(frame, values.get("filename"), values.get("lineno"))
        seen.count(seen.words(message, None), category, level, (), frame, None)


def _level(frame: FrameType, filename: Any, line: Any) -> int:
    """The `stacklevel` that would blame the frame running this line, 1 if none does."""
    where: FrameType | None = frame
    for level in range(1, MAX_FRAMES):
        if where is None:
            break
        if where.f_lineno == line and where.f_code.co_filename == filename:
            return level
        where = where.f_back
    return 1

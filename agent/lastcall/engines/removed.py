"""The engine for what is no more: who still asks for a target that was taken away.

A name is watched as `engines.names` watches one that is there: the read is seen, finds nothing, and Python goes on
to say so in its own words. A module is noticed when every finder has been asked for it in vain, before
importlib raises. Either way the ask is a use, with its call site and stack, and a finding of kind `removed`.
"""

from __future__ import annotations

from ..callsite import is_import_machinery
from ..errors import getframe
from . import names

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType

    from ..recorder import Recorder
    from ..sites import SiteRecord, Tap
    from ..targets import Target

    Asked = Callable[[Target, SiteRecord | None], None]


def arm_name(recorder: Recorder, module: ModuleType, name: str, tap: Tap, asked: Asked) -> Callable[[], None]:
    """Tell `asked` of every read of `module.name`, which is not there. Raises TypeError as `names.arm_name`."""
    use = recorder.hooks.frame_callback(tap)

    def ask(frame: FrameType | None) -> None:
        if name in vars(module):
            return  # somebody has put it back
        use(frame)
        if frame is None or not is_import_machinery(frame):
            with recorder.errors.guard_in_host("removed"):
                asked(tap.target, recorder.record_at(tap, frame))

    return names.arm_name(recorder, module, name, tap, ask)


def wanted_import(frame: FrameType | None) -> tuple[str, FrameType | None]:
    """The module that the import statement behind importlib's `frame` names, and the statement's own frame.

    `import gone.part` asks for `gone` first, and fails there: what was meant stands furthest out.
    """
    meant = ""
    while frame is not None and is_import_machinery(frame):
        if frame.f_code.co_name == "_find_and_load":
            meant = frame.f_locals.get("name", meant)
        frame = frame.f_back
    return meant, frame


def missed(
    recorder: Recorder, targets: list[Target], tap_of: Callable[[Target, str], Tap], asked: Asked
) -> None:
    """A module that `targets` lie in, or a package of it, was imported in vain."""
    name, frame = wanted_import(_machinery())
    if frame is None:
        return
    for target in targets:
        if name == target.module or name.startswith(target.module + "."):
            tap = tap_of(target, "import")
            recorder.hooks.frame_callback(tap)(frame)
            asked(target, recorder.record_at(tap, frame))


def _machinery() -> FrameType | None:
    """The innermost frame of importlib behind this one."""
    frame: FrameType | None = getframe(1)
    while frame is not None and not is_import_machinery(frame):
        frame = frame.f_back
    return frame

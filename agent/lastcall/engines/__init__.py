"""How a target is armed. `wrapping` replaces the object by a wrapt wrapper, `inplace` changes nothing that
can be seen and watches the code itself, `names` watches a module's names.

Every engine's `arm...` function returns an undo: a function that puts back what was there.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Undo:
    """A call to be made later. A function with a closure would be four to six objects more in the host's memory, which
    its garbage collector goes through; there is one for each armed target."""

    __slots__ = ("_given", "_step")

    def __init__(self, step: Callable[..., None], *given: Any) -> None:
        self._step = step
        self._given = given

    def __call__(self) -> None:
        self._step(*self._given)

"""Were users mixed? Whose object was handed to whom.

For a target with `isolation = { owner = "user_context.user_id" }` the agent keeps, weakly, for each object it
returned the keyed hash of the owner it was made for. The same object handed to a second owner, or an object
made for nobody, is an `isolation` finding. The owner's identity itself is never kept: only a hash under a key
that no other process has.
"""

from __future__ import annotations

import hashlib
import os
import weakref

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from .agent import Agent
    from .targets import Target

_MISSING = object()
_SHARED_BY_NATURE = (str, bytes, int, float, bool, tuple, frozenset, type(None), type)


class Isolation:
    """The advice of one target: see `engines.around`."""

    def __init__(self, agent: Agent, target: Target, parameters: tuple[str, ...], *, bound: bool) -> None:
        """`parameters` are the function's positional ones; `bound` says that the first is self or cls."""
        self.agent = agent
        self.target = target
        self.path = target.isolation.split(".")
        self.parameters = parameters
        self.bound = bound
        self._key = os.urandom(16)
        self._owners: dict[int, tuple[Any, bytes]] = {}

    def enter(self, frame: FrameType, args: Any, kwargs: Any) -> tuple[FrameType, bytes | None]:
        """Note the owner's hash, None if the call names nobody."""
        return frame, self._owner(args, kwargs)

    def leave(
        self, entered: tuple[FrameType, bytes | None], result: Any, error: BaseException | None
    ) -> None:
        """Compare the object's owner with the one it had."""
        frame, owner = entered
        if error is not None or isinstance(result, _SHARED_BY_NATURE):
            return
        if owner is None:
            self.agent.finding(
                "isolation", self.target, "an object was made for no owner", frame, self._attributes(result)
            )
            return
        known = self._owners.get(id(result))
        if known is not None and known[0]() is result:
            if known[1] != owner:
                self.agent.finding(
                    "isolation",
                    self.target,
                    "one object was handed to two owners",
                    frame,
                    (*self._attributes(result), ("first_owner", known[1].hex()), ("owner", owner.hex())),
                )
            return
        try:
            number = id(result)
            self._owners[number] = (weakref.ref(result, lambda _, n=number: self._owners.pop(n, None)), owner)
        except TypeError:  # no weak references to it: it cannot be followed
            with self.agent.recorder.lock:
                self.agent.recorder.drop("isolation-not-followed")

    def _owner(self, args: Any, kwargs: Any) -> bytes | None:
        value = self._argument(self.path[0], args, kwargs)
        for name in self.path[1:]:
            value = value.get(name, _MISSING) if isinstance(value, dict) else getattr(value, name, _MISSING)
            if value is _MISSING:
                return None
        if value is _MISSING or value is None:
            return None
        return hashlib.blake2b(repr(value).encode("utf-8", "replace"), key=self._key, digest_size=8).digest()

    def _argument(self, name: str, args: Any, kwargs: Any) -> Any:
        if name in kwargs:
            return kwargs[name]
        if name in self.parameters:
            index = self.parameters.index(name)
            if index < len(args):
                return args[index]
        return _MISSING

    @staticmethod
    def _attributes(result: Any) -> tuple[tuple[str, str], ...]:
        return (("type", f"{type(result).__module__}:{type(result).__qualname__}"),)

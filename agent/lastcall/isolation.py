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
    from .sites import SiteRecord, Tap

_MISSING = object()
_SHARED_BY_NATURE = (str, bytes, int, float, bool, tuple, frozenset, type(None), type)


class Isolation:
    """The advice of one target: see `engines.around`."""

    def __init__(self, agent: Agent, tap: Tap, parameters: tuple[str, ...]) -> None:
        """`parameters` are the names of the function's positional ones, self or cls included."""
        self.agent = agent
        self.tap = tap
        self.path = tap.target.isolation.split(".")
        self.parameters = parameters
        self._key = os.urandom(16)
        self._owners: dict[int, tuple[Any, bytes]] = {}

    def enter(self, frame: FrameType | None, args: Any, kwargs: Any) -> tuple[SiteRecord | None, bytes | None]:
        """Note the call site and the owner's hash, None if the call names nobody."""
        # by the end of a coroutine the frame will be somewhere else
        return self.agent.recorder.record_at(self.tap, frame), self._owner(args, kwargs)

    def leave(
        self, entered: tuple[SiteRecord | None, bytes | None], result: Any, error: BaseException | None
    ) -> None:
        """Compare the object's owner with the one it had."""
        record, owner = entered
        if error is not None or isinstance(result, _SHARED_BY_NATURE):
            return
        if owner is None:
            self._found("an object was made for no owner", record, self._attributes(result))
            return
        known = self._owners.get(id(result))
        if known is None or known[0]() is not result:
            self._remember(result, owner)
        elif known[1] != owner:
            owners = (("first_owner", known[1].hex()), ("owner", owner.hex()))
            self._found("one object was handed to two owners", record, (*self._attributes(result), *owners))

    def _found(self, message: str, record: SiteRecord | None, attributes: tuple[tuple[str, str], ...]) -> None:
        self.agent.finding_at("isolation", self.tap.target, message, record, attributes)

    def _remember(self, result: Any, owner: bytes) -> None:
        number = id(result)
        try:
            self._owners[number] = (weakref.ref(result, lambda _: self._forget(number)), owner)
        except TypeError:  # no weak references to it: it cannot be followed
            with self.agent.recorder.lock:
                self.agent.recorder.drop("isolation-not-followed")

    def _forget(self, number: int) -> None:
        self._owners.pop(number, None)

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

"""A call site as every process and store names it.

Apart from the other values of `evidence` because the store's writer in a host needs these alone.
"""

from __future__ import annotations

try:
    from _blake2 import blake2b  # what hashlib has; hashlib itself loads OpenSSL into the host, 3 MB
except ImportError:  # a build of its own kind
    from hashlib import blake2b

from .values import dataclass

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    UseKind = Literal["call", "construct", "access", "import", "warning"]
    Origin = Literal["self", "direct", "indirect"]


def digest(parts: Iterable[str]) -> str:
    """A name for what `parts` say, equal in every store: 24 hex digits."""
    return blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a caller's stack; `file` is relative to the project root where it lies below it."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Site:
    """A call site: where a use of a target came from (DESIGN 2)."""

    target: str
    use: UseKind
    file: str
    line: int
    function: str
    module: str
    expression: str
    origin: Origin
    during_import: bool = False
    by_test: bool = False
    scanner: bool = False
    """Reached by a reflective scanner (getmembers, a docs builder, a DI container), not by code that needs it."""
    via: str = ""
    """The subclass whose construction reached the target, else empty."""
    stack: tuple[Frame, ...] = ()
    note: str = ""
    """For `warning` uses: the message template. Never arguments."""

    @property
    def id(self) -> str:
        """A digest of everything but the stack: equal in every process and release that runs the same line."""
        parts = (
            self.target,
            self.use,
            self.file,
            str(self.line),
            self.function,
            self.module,
            self.expression,
            self.origin,
            str(self.during_import),
            str(self.by_test),
            str(self.scanner),
            self.via,
            self.note,
        )
        return digest(parts)

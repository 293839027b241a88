"""A warning whose arguments have to be looked up: what it says, and for a wrapper, of which function.

What was found once is given to `warning_reads`, which compares; here every use is looked at anew.
"""

from __future__ import annotations

from . import hotpath
from .named import may_wrap
from .warning_outcomes import outcome_of
from .warning_reads import COUNTED_AS_CALLS, Quick
from .warning_words import category_of

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from .warning_calls import Call
    from .warnings_seen import Warned, WarningsSeen

MAX_MESSAGES = 5_000
"""Messages that are told apart, in all and of one instruction."""
_NO_NAMES: dict[str, Any] = {}
_TEXT = (str, type(None))


class Looked:
    """An instruction whose arguments have to be looked up: which message, and for a wrapper, of which function."""

    __slots__ = ("call", "known", "quick", "seen", "wraps")

    def __init__(self, seen: WarningsSeen, call: Call) -> None:
        self.seen = seen
        self.call = call
        self.wraps = may_wrap(call.code)
        self.known: dict[Any, Warned] = {}
        self.quick: Quick | None = None

    def look(self, frame: FrameType, where: FrameType | None) -> bool | None:
        """Count what `frame` is warning of; whether the call itself has to be seen for that."""
        seen, call = self.seen, self.call
        names = frame.f_locals if call.needs_locals or self.wraps else _NO_NAMES
        if not call.is_of_function and type(names) is not dict:  # looking would run what it does to be looked at
            return True
        try:
            message, category, level, prefixes = call.values(names, frame.f_globals)
        except LookupError:  # the call itself will tell
            return True
        simple = type(level) is int and level == 2 and not prefixes and type(message) in _TEXT  # noqa: PLR2004 - most of them
        if not simple or where is None or "importlib" in where.f_code.co_filename:
            words = seen.words(message, call.template)
            seen.count(words, category_of(message, category), level, prefixes, frame, names)
            return None
        key = message, category, id(seen.wrapped(frame, names))
        try:
            entry = self.known.get(key)
        except TypeError:  # C refuses such a category
            return None
        outside = bool(seen.holding.get(id(where.f_code)))
        if entry is not None and not outside:
            entry.count(where)
        else:
            entry = seen.count(seen.words(message, call.template), category, level, (), frame, names)
            if entry is not None and len(self.known) < MAX_MESSAGES:
                self.known[key] = entry
        if entry is not None and not outside:
            self._remember(frame, where, entry, message, category)
        return None

    def _remember(self, frame: FrameType, where: FrameType, entry: Warned, message: Any, category: Any) -> None:
        reads, call, holding = self.seen.reads_of(self.call), self.call, self.seen.holding
        if not call.is_comparable:
            return
        quick = self.quick
        if quick is None:
            if self.wraps and id(call.code) not in holding:
                return  # which of its variables holds the function is still to be seen
            held = holding.get(id(call.code), "") if self.wraps else ""
            quick = self.quick = Quick(call, held, self.look, self.seen.recorder)
            if reads is not None and call.is_read_there:
                reads.put(call, quick.kind, quick.known)
            if call.read_at < 0 and (site := hotpath.site_key(frame)) in self.seen.looks:
                self.seen.looks[site] = quick.look
                self.seen.counted[site] = None, quick.look
        if entry.is_found and entry.tap is not None:
            outcome = None
            if reads is not None:
                words = call.template if call.is_worded else message
                outcome = outcome_of(reads.module, reads.changes, call, words, category)
            quick.remember(frame, where, entry.target, entry.tap.counters, outcome)
        elif not entry.is_found and entry.target.state in COUNTED_AS_CALLS:
            quick.remember(frame, where, entry.target, None, None)

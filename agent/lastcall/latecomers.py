"""What appears without an import telling us: modules run by hand, cells of a notebook, code run after its module.

The background thread looks for it round by round, and so does the end of the process. What a use before such a look
did is not seen: the target's state says so.
"""

from __future__ import annotations

import sys

from . import captured
from .importing import is_unfinished
from .introduction import namesakes, seen_under
from .lookup import definition_in, is_module

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .patch import Patcher
    from .targets import Target

BY_HAND = "its module was not imported, but run or replaced by the program itself: earlier uses were not seen"
DEFINED_LATE = "defined by code that ran after its module, or anew: uses within a flush interval of that were not seen"
OTHER_CODE = "the program gave it other code since (`__code__`): uses within a flush interval of that were not seen"
OTHER_CODE_LEFT = "the program gave it other code since (`__code__`), which cannot be watched: later uses are not seen"
"""Why uses of what is met only now may have been missed: all of them, since our last look."""


class Latecomers:
    """Looks again at modules that were armed, and for those that nobody told the patcher of."""

    def __init__(self, patcher: Patcher) -> None:
        self.patcher = patcher
        self.before_arming: Callable[[], None] = lambda: None
        """Called before anything is armed, which is mostly in the background thread."""
        self.is_awaited: Callable[[Target], bool] = lambda _target: False
        """Whether somebody else arms this target at the moment at which it is defined."""
        self.unfinished = False
        """Whether the last `rescan` met a wanted module whose code has yet to run (a lazy one)."""
        self._run_by_hand: dict[str, tuple[Callable[[], Any], int]] = {}
        """Modules that nobody told us of, which may have been met halfway, and how many names each had then."""

    def rescan(self) -> None:
        """Arm modules that came in without asking our finder (another import hook, `sys.modules[...] = ...`)."""
        patcher = self.patcher
        self.unfinished = False
        for name, module in list(sys.modules.items()):
            if not is_module(module) or patcher.armed_modules.get(name) == id(module) or not patcher.wanted(name):
                continue
            if is_unfinished(module):
                self.unfinished = True
            elif patcher.has_met(module, name):
                patcher.armed_modules[name] = id(module)
            else:
                self.before_arming()
                self._run_by_hand[name] = captured.weakly(module), len(vars(module))  # before: it may grow meanwhile
                patcher.loaded(module, name, late=BY_HAND)
        self._look_for_namesakes()

    def _look_for_namesakes(self) -> None:
        """What is used through a second module of the same file goes unseen: the targets' states say so."""
        patcher = self.patcher
        for module, other in namesakes(patcher.wanted.exact).items():
            for target in patcher.wanted.exact[module]:
                if target.state in ("armed", "pending"):
                    state = "partial" if target.state == "armed" else "failed"
                    patcher.decide(target, state, seen_under(other))

    def is_out_of_date(self) -> bool:
        """Whether the program has put another module in the place of one that was armed."""
        patcher = self.patcher
        for name, known in list(patcher.armed_modules.items()):
            module = sys.modules.get(name)
            if id(module) != known and is_module(module) and patcher.wanted(name):
                return True
        return False

    def look_again(self) -> None:
        """Arm what a cell of a notebook has defined, or other code that ran after the module."""
        patcher = self.patcher
        for target, known in list(patcher.unsettled.values()):
            module = sys.modules.get(target.module)
            if module is None or is_unfinished(module) or self.is_awaited(target):
                continue
            found = definition_in(module, target)
            if found is None or found is known():
                continue
            del found  # who asks whether somebody holds it must not find us
            self.before_arming()
            patcher.arm(target, module, late=DEFINED_LATE)
            patcher.unsettled[target.ref] = (target, captured.weakly(definition_in(module, target)))
        self._look_for_more_in_modules_run_by_hand()
        self.look_for_other_code()

    def look_for_other_code(self) -> None:
        """Watch what was given other code (IPython's autoreload, ddtrace)."""
        self.patcher.watch_other_code(OTHER_CODE, OTHER_CODE_LEFT)

    def _look_for_more_in_modules_run_by_hand(self) -> None:
        """Such a module may have been met while its code still ran: what it defines behind that is found now."""
        patcher = self.patcher
        for name, (known, size) in list(self._run_by_hand.items()):
            module = known()
            if module is None:
                del self._run_by_hand[name]
            elif len(vars(module)) != size and patcher.armed_modules.get(name) == id(module):
                self._run_by_hand[name] = known, len(vars(module))
                self.before_arming()
                for target in patcher.wanted.exact.get(name, ()):
                    if target.state == "missing" and target.qualname.partition(".")[0] in vars(module):
                        patcher.arm(target, module, late=BY_HAND)
                patcher.look_for_targets(module, name, late=BY_HAND, only_new=True)

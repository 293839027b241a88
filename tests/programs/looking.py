"""What a target does besides its work: looks at its stack, warns, raises."""

import sys
import warnings


def around():
    """The stack as the target sees it, innermost first."""
    frame, found = sys._getframe(2), []
    while frame is not None:
        found.append((frame.f_code.co_name, frame.f_lineno))
        frame = frame.f_back
    return found


def act(action, result):
    if action == "warn":
        warnings.warn("old is deprecated", DeprecationWarning, stacklevel=3)
    elif action == "warn further":
        warnings.warn("old is deprecated", DeprecationWarning, stacklevel=4)
    elif action == "raise":
        raise ValueError("as it always did")
    elif action == "exit":
        raise SystemExit(3)
    return result

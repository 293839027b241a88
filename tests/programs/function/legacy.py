import sys

from looking import act, around

def old(action="", b: int = 2, *rest, c=3, **more) -> tuple:
    """The old way."""
    if action == "around":
        return around()
    if action == "locals":
        return sorted(sys._getframe(1).f_locals)
    return act(action, (action, b, rest, c, more))

old.note = "kept"

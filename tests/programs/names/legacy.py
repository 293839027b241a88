"""Names: an alias, a constant, an instance, one that is made on demand."""


class Unified:
    def __init__(self, who="nobody"):
        self.who = who


Manager = Unified
TIMEOUT = 30
default = Unified("default")
handlers = {"a": 1}


def inside():
    return TIMEOUT, Manager("inside").who  # 2x Manager


def change():
    global TIMEOUT
    TIMEOUT += 1
    return TIMEOUT


def __getattr__(name):
    if name == "on_demand":
        return "made"
    if name == "raises":
        raise RuntimeError("cannot be made")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

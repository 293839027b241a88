import importlib
import sys

import pkg
from seeing import show


def first():
    import pkg.old  # 3x pkg.old

    return pkg.old.VALUE


show("not there yet", lambda: (hasattr(pkg, "old"), "pkg.old" in sys.modules))
show("first", lambda: [first(), first(), first()])


def second():
    from pkg import old  # 2x old

    return old.function()


show("second", lambda: [second(), second()])


def third():
    from pkg.old import function  # 4x pkg.old

    return function()


show("third", lambda: [third(), third()])


def fourth():
    import pkg.old as renamed  # 2x pkg.old

    return renamed.VALUE


show("fourth", lambda: [fourth(), fourth()])
show("importlib", lambda: importlib.import_module("pkg.old").VALUE)  # 1x@3.11 importlib.import_module
show("importlib relative", lambda: importlib.import_module(".old", "pkg").VALUE)  # 1x@3.11 importlib.import_module
show("dunder", lambda: __import__("pkg.old").old.VALUE)  # 1x __import__
import pkg.reexport

show("reload", lambda: importlib.reload(pkg.old).VALUE)
show("after reload", lambda: third())
show("spec", lambda: (pkg.old.__spec__.name, type(pkg.old.__spec__).__name__, pkg.old.__spec__.origin == pkg.old.__file__))
show("type", lambda: (type(pkg.old).__name__, isinstance(pkg.old, type(sys))))
show("missing", lambda: importlib.import_module("pkg.missing"))
show("missing name", lambda: exec("from pkg.old import missing"))
show("delete", lambda: sys.modules.pop("pkg.old").VALUE)
show("fresh", lambda: third())

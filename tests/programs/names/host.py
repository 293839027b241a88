import importlib.util
import inspect
import pickle
import sys
import types
from unittest import mock

import legacy
from legacy import Manager as Mine  # 1x Manager
from seeing import show


def in_function():
    from legacy import TIMEOUT  # 3x TIMEOUT

    return TIMEOUT


show("read", lambda: legacy.TIMEOUT)  # 1x legacy.TIMEOUT
show("in function", lambda: [in_function(), in_function(), in_function()])
show("getattr", lambda: (getattr(legacy, "TIMEOUT"), getattr(legacy, "missing", "default")))  # 1x getattr
show("hasattr", lambda: hasattr(legacy, "TIMEOUT"))  # 1x hasattr
show("alias", lambda: legacy.Manager("m").who)  # 1x legacy.Manager # 1x legacy.Manager
show("alias imported", lambda: Mine("i").who)  # 1x Mine
show("thing itself", lambda: legacy.Unified("u").who)  # 1x legacy.Unified
show("same", lambda: (Mine is legacy.Unified, isinstance(Mine(), legacy.Unified)))  # 1x Mine
show("instance", lambda: legacy.default.who)  # 1x legacy.default
show("item", lambda: legacy.handlers["a"])  # 1x legacy.handlers
show("item set", lambda: legacy.handlers.update(b=2) or sorted(legacy.handlers))  # 2x legacy.handlers
show("inside", lambda: legacy.inside())
show("change", lambda: (legacy.change(), legacy.TIMEOUT))  # 1x legacy.TIMEOUT
show("vars", lambda: (vars(legacy)["TIMEOUT"], legacy.__dict__["TIMEOUT"]))


def assign():
    legacy.TIMEOUT = 99
    return legacy.inside()[0], legacy.TIMEOUT  # 1x legacy.TIMEOUT


show("assign", assign)
show("augmented", lambda: exec("legacy.TIMEOUT += 1", {"legacy": legacy}) or vars(legacy)["TIMEOUT"])


def delete():
    del legacy.TIMEOUT
    return legacy.TIMEOUT  # 1x legacy.TIMEOUT


show("delete", delete)
show("delete again", lambda: delattr(legacy, "TIMEOUT"))
show("gone", lambda: legacy.inside())
show("again", lambda: setattr(legacy, "TIMEOUT", 5) or legacy.TIMEOUT)  # 1x legacy.TIMEOUT
show("on demand", lambda: legacy.on_demand)  # 1x legacy.on_demand
show("on demand raises", lambda: legacy.raises)  # 1x legacy.raises
show("missing", lambda: legacy.missing)
show("import missing", lambda: exec("from legacy import missing"))


def patched():
    with mock.patch("legacy.TIMEOUT", 7), mock.patch.dict(legacy.handlers, {"c": 3}):  # 1x legacy.handlers
        return legacy.TIMEOUT, "c" in legacy.handlers  # 1x legacy.TIMEOUT # 1x legacy.handlers


show("mock.patch", patched)
show("after mock", lambda: (legacy.TIMEOUT, "c" in legacy.handlers))  # 1x legacy.TIMEOUT # 1x legacy.handlers
show("star", lambda: exec("from legacy import *\nprint(sorted(n for n in dir() if n[0] != '_'))"))
show("module", lambda: (isinstance(legacy, types.ModuleType), type(legacy).__name__, inspect.ismodule(legacy), legacy.__name__))
show("repr", lambda: repr(legacy).replace(legacy.__file__, ""))
show("dir", lambda: sorted(n for n in dir(legacy) if not n.startswith("__")))
show("pickle", lambda: pickle.dumps(legacy))
show("in sys.modules", lambda: sys.modules["legacy"] is legacy)
show("find", lambda: importlib.util.find_spec("legacy") is legacy.__spec__)
show("slots", lambda: setattr(legacy, "new_name", 1) or legacy.new_name)

import functools
import inspect
from collections.abc import Callable, Container, Sized

import legacy
from seeing import show

show("call", lambda: legacy.wrapped(2))  # 1x legacy.wrapped
show("call by wrapt", lambda: legacy.by_wrapt(2))  # 1x legacy.by_wrapt
show("behind functools.wraps", lambda: (legacy.wrapped.__wrapped__(3), inspect.unwrap(legacy.wrapped)(4)))
show("behind a cache", lambda: legacy.cached.__wrapped__() is not legacy.cached.__wrapped__())
show("cache", lambda: legacy.cached() is legacy.cached())  # 2x legacy.cached
show("cache's own", lambda: (legacy.cached.cache_info(), legacy.cached.cache_parameters(), legacy.cached.cache_clear()))
show("behind a host's wrapper", lambda: (legacy.by_wrapt.__wrapped__(5), inspect.unwrap(legacy.by_wrapt)(5)))


def counted():
    legacy.by_wrapt._self_calls = 10
    legacy.by_wrapt(6)  # 1x legacy.by_wrapt
    return legacy.by_wrapt._self_calls, legacy.by_wrapt._self_enabled, legacy.by_wrapt._self_wrapper.__name__


show("attributes of a host's wrapper", counted)
show("signatures", lambda: [str(inspect.signature(getattr(legacy, name))) for name in ("wrapped", "cached", "by_wrapt")])
show("lengths", lambda: [hasattr(getattr(legacy, name), "__len__") for name in ("wrapped", "cached", "by_wrapt")])
show("structure", lambda: [(name, [kind.__name__ for kind in (Sized, Container, Callable) if isinstance(getattr(legacy, name), kind)])
                           for name in ("wrapped", "cached", "by_wrapt")])
show("wraps", lambda: functools.wraps(legacy.wrapped)(lambda: None).__wrapped__ is legacy.wrapped)

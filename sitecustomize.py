"""Starts Lastcall wherever this folder is on PYTHONPATH, then runs the sitecustomize that this one shadows.

Python runs the first `sitecustomize` on its path and no other, so this one hands on to the next. Any
interpreter can inherit PYTHONPATH: the file is valid Python 2.7 as well, imports nothing that the
interpreter has not loaded already unless there is something to run, and stays silent where Lastcall
cannot run.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _start():
    """Start the agent if the switch is on. It reports its own errors; what cannot be imported is not one."""
    if sys.version_info < (3, 10) or os.environ.get("LASTCALL_ENABLED", "") in ("", "0", "false"):
        return
    source = os.path.join(_HERE, "agent")
    beside = os.path.isdir(os.path.join(source, "lastcall"))  # in a wheel it is importable already
    if beside:
        sys.path.append(source)
    try:
        from lastcall.bootstrap import start_from_environment
    except ImportError:
        return
    finally:
        if beside:
            sys.path.remove(source)  # the package finds its own modules; the host's path stays as it was
    start_from_environment()


def _rest_of_path():
    """The entries of sys.path behind this file's own: where Python would have gone on looking."""
    places = [os.path.realpath(entry) for entry in sys.path]
    own = os.path.realpath(_HERE)
    return sys.path[places.index(own) + 1 :] if own in places else list(sys.path)


def _run_shadowed():
    """Run the next sitecustomize as Python would have, under its own name; its errors are the host's."""
    if sys.version_info < (3, 4):
        import imp  # gone in Python 3.12; the only way before 3.4

        try:
            found = imp.find_module("sitecustomize", _rest_of_path())
        except ImportError:
            return
        imp.load_module("sitecustomize", *found)
        return
    finder = next((f for f in sys.meta_path if getattr(f, "__name__", "") == "PathFinder"), None)
    spec = finder and finder.find_spec("sitecustomize", _rest_of_path())
    if not spec or not spec.loader:
        return
    from importlib.util import module_from_spec

    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_start()
_run_shadowed()

"""wrapt's C extension is loaded without wrapt, and the host notices nothing of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from worlds import wrapt_in_c

AGENT = Path(__file__).resolve().parents[1] / "agent"

needs_c = pytest.mark.skipif(not wrapt_in_c(), reason="wrapt runs without its C extension here")


def run(code: str, **environ: str) -> str:
    """What `code` prints in an interpreter of its own, where the agent's source is importable."""
    env = {**os.environ, "PYTHONPATH": str(AGENT), **environ}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_c
def test_it_leaves_the_hosts_modules_as_they_were() -> None:
    out = run(
        "import sys, lastcall.engines.wrapt_core as core\n"
        "before = dict(sys.modules)\n"
        "core.load()\n"
        "print(sys.modules.keys() ^ before.keys() or 'same')"
    )
    assert out == "same"


@needs_c
def test_a_host_that_imports_wrapt_afterwards_gets_a_whole_one() -> None:
    """With its submodules as attributes, and wrappers that wrap ours and are wrapped by ours."""
    out = run(
        "import sys, lastcall.engines.wrapping as ours\n"
        "assert 'wrapt' not in sys.modules\n"
        "import wrapt\n"
        "assert wrapt.wrappers and wrapt.decorators and wrapt.__wrapt__\n"
        "assert all(hasattr(wrapt, name.partition('.')[2]) for name in sys.modules if name.startswith('wrapt.'))\n"
        "seen = []\n"
        "def hook(): seen.append(sys._getframe(1).f_code.co_name)\n"
        "def double(value): return 2 * value\n"
        "passes = lambda wrapped, instance, args, kwargs: wrapped(*args, **kwargs)\n"
        "inside = wrapt.FunctionWrapper(ours.wrapper_of(double, passes, hook), passes)\n"
        "outside = ours.wrapper_of(wrapt.FunctionWrapper(double, passes), passes, hook)\n"
        "def caller(): return inside(2), outside(3)\n"
        "print(caller(), len(seen), seen[1])"
    )
    assert out == "(4, 6) 2 caller"


def test_a_host_that_has_wrapt_shares_it() -> None:
    assert run("import wrapt, lastcall.engines.wrapt_core as core; print(core.load() is wrapt)") == "True"


def test_without_its_extension_wrapt_is_imported_in_the_ordinary_way() -> None:
    code = "import lastcall.engines.wrapt_core as core; print(core.load().__name__)"
    assert run(code, WRAPT_DISABLE_EXTENSIONS="1") == "wrapt"


@needs_c
@pytest.mark.parametrize(
    "fault",
    [
        "core._execute = lambda *_: 1 / 0",
        "core._load_exceptions = lambda *_: None",  # then the extension asks for what nobody has
    ],
)
def test_an_extension_that_does_not_load_alone_is_imported_with_all_of_wrapt(fault: str) -> None:
    code = (
        "import sys, lastcall.engines.wrapt_core as core\n"
        f"{fault}\n"
        "module = core.load()\n"
        "import wrapt\n"
        "print(module.__name__, module.FunctionWrapper(len, lambda w, i, a, k: w(*a))([1, 2]))"
    )
    assert run(code) == "wrapt 2"


@needs_c
def test_threads_that_import_wrapt_meanwhile_get_a_whole_one() -> None:
    """One hundred tries: they begin before, while, and after the extension is loaded."""
    out = run(
        "import sys, threading, time\n"
        "import lastcall.engines.wrapt_core as core\n"
        "sys.setswitchinterval(1e-6)\n"
        "wrong = []\n"
        "def host():\n"
        "    try:\n"
        "        import wrapt\n"
        "        wrapt.decorator, wrapt.exceptions, wrapt.ObjectProxy\n"
        "    except Exception as error:\n"
        "        wrong.append(error)\n"
        "for turn in range(100):\n"
        "    for name in [name for name in sys.modules if name.partition('.')[0] == 'wrapt']:\n"
        "        del sys.modules[name]\n"
        "    threads = [threading.Thread(target=host) for _ in range(2)]\n"
        "    for thread in threads: thread.start()\n"
        "    time.sleep(turn % 10 * 1e-4)\n"
        "    assert core.load().FunctionWrapper\n"
        "    for thread in threads: thread.join()\n"
        "print(wrong)",
    )
    assert out == "[]"

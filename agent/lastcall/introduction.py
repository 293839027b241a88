"""What a journal says first: the process and its targets. And all that a process says which met none of them.

A short program that never imports a target's module is evidence too: it was watched, and used nothing. For
that it needs neither recorder nor counters; one write of a few lines does.
"""

from __future__ import annotations

import os

# not `os`: what a test of the host's puts in the place of its functions is not for us
import posix
import sys
from _stat import S_ISREG
from time import time_ns

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .config import Config
    from .targets import Target

FORMAT = 2
_TEXT = ("replacement", "owner", "issue", "since", "remove_by", "note", "schedule")
_NO_TEXTS = ("",) * len(_TEXT)
_NO_TEXT = ", ".join(map(ascii, _NO_TEXTS))
_PLATFORM = ("K_REVISION", "K_CONFIGURATION", "CLOUD_RUN_JOB", "KUBERNETES_SERVICE_HOST", "HOSTNAME")


def new_id() -> str:
    """A random process id, 24 hex digits. `uuid` would cost the host 10 ms."""
    return posix.urandom(12).hex()


def process_record(config: Config, process_id: str, pid: int, started_ns: int) -> tuple[object, ...]:
    """The P record (see `journal`)."""
    version = sys.version_info
    python = f"{version[0]}.{version[1]}.{version[2]}"
    platform = tuple((name, os.environ[name]) for name in _PLATFORM if name in os.environ)
    scope = (config.service, config.environment, config.release)
    host = posix.uname().nodename
    return ("P", FORMAT, process_id, pid, *scope, host, python, started_ns, config.root, platform)


def target_record(target: Target) -> tuple[object, ...]:
    """The T record."""
    text = [target.metadata.get(key, "") for key in _TEXT]
    return ("T", target.ref, target.kind, *text, target.defined_file, target.defined_line, target.source)


def state_record(target: Target, started_ns: int) -> tuple[object, ...]:
    """The A record."""
    at_ns = target.state_ns or started_ns
    return ("A", target.ref, target.state, target.reason, target.engine, at_ns)


def pending_lines(target: Target, started_ns: int) -> str:
    """The T and A records of a target that nobody met, as text: the same as `ascii()` of them, at a third of the cost.

    A process that ends without having met a target writes hundreds, while the host waits.
    """
    if target.state != "pending" or target.state_ns or target.reason or target.engine or target.defined_file:
        return ascii(target_record(target)) + "\n" + ascii(state_record(target, started_ns)) + "\n"
    return _unmet_lines(target.ref, target.metadata, started_ns, target.kind, target.source)


def _unmet_lines(
    ref: str, metadata: dict[str, str], started_ns: int, kind: str = "function", source: str = "config"
) -> str:
    name = ascii(ref)
    text = ", ".join(map(ascii, map(metadata.get, _TEXT, _NO_TEXTS))) if metadata else _NO_TEXT
    return f"('T', {name}, {kind!a}, {text}, '', 0, {source!a})\n('A', {name}, 'pending', '', '', {started_ns})\n"


def namesakes(wanted: Iterable[str]) -> dict[str, str]:
    """Of these modules: under which other name this process has imported the same file.

    A folder of a package that is on the path as well (`python pkg/tool.py`) makes two modules of one file, and what
    is used of the second one nobody sees.
    """
    looked_for = set(wanted)
    last_names = {module.rpartition(".")[2] for module in looked_for}
    found: dict[str, str] = {}
    names = list(sys.modules)
    try:
        names = [name for name in names if (name.rpartition(".")[2] if "." in name else name) in last_names]
    except (AttributeError, TypeError):  # some are no strings
        names = [name for name in names if name.__class__ is str]
    for name in names:
        if name == "__main__":
            continue
        file = _file_of(name)
        end = "/__init__.py" if file.endswith("/__init__.py") else ".py"
        folder, module = file.removesuffix(end) if file.endswith(end) else "", ""
        while folder:  # the file of `a.b.c` may be that of `c`, `b.c` ...
            folder, _, part = folder.rpartition("/")
            module = f"{part}.{module}" if module else part
            if module in looked_for and module != name and _is_second(name, file, module, folder):
                found[module] = name
    return found


def seen_under(other: str) -> str:
    """The reason of a target's state whose module has a namesake."""
    return f"its file was imported as {other}, too: what is used through that is not seen"


def _is_second(other: str, file: str, module: str, folder: str) -> bool:
    """Whether `other`, whose file is where `module` would have its own below `folder`, is a second module of it."""
    known = sys.modules.get(module)
    if known is not None and sys.modules.get(other) is known:
        return False  # one module with two names, as `requests.packages.urllib3`: nothing goes unseen
    known_file = _file_of(module)
    if known_file:
        return known_file == file
    # not another project's module that happens to lie in a folder of that name
    return module.endswith("." + other) or (folder or "/") in sys.path


def _file_of(name: str) -> str:
    try:  # as it is: a module that is loaded when it is asked is not asked
        file = object.__getattribute__(sys.modules[name], "__dict__").get("__file__")
    except (KeyError, AttributeError):
        return ""
    return file if file.__class__ is str else ""


def make_live_folder(folder: str) -> None:
    """Make the folder of live files, unless it is there. Raises OSError, and where the store can never be one."""
    store = folder.removesuffix("-live")
    if store != folder and _is_other_than_file(store):
        raise OSError(f"{store} is not a file")  # /dev/null, say: nobody would ever read what lies beside it
    try:
        posix.mkdir(folder)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_folders(folder)
        return
    # Who may write beside the store may write here: processes of several users, whatever the first one's umask.
    beside, made = posix.stat(folder_of(folder)), posix.stat(folder)
    more = beside.st_mode & 0o1000
    if beside.st_mode & 0o020 and beside.st_gid == made.st_gid:
        more |= 0o070
    if beside.st_mode & 0o002:
        more |= 0o007
    if more:
        posix.chmod(folder, made.st_mode & 0o7777 | more)


def make_folders(path: str) -> None:
    """Make a folder and those above it, unless they are there. Raises OSError."""
    try:
        posix.mkdir(path)
    except FileExistsError:
        return
    except FileNotFoundError:
        above = folder_of(path.rstrip("/"))
        if above == ".":
            raise  # the working directory itself is gone
        make_folders(above)
        make_folders(path)


def folder_of(path: str) -> str:
    """The folder in which a path lies. No question to the system, and none to what the host has put for `os`."""
    above = path.rpartition("/")[0].rstrip("/")
    return above or ("/" if path.startswith("/") else ".")


def _is_other_than_file(path: str) -> bool:
    try:
        return not S_ISREG(posix.stat(path).st_mode)
    except OSError:
        return False


def leave_word(config: Config, started_ns: int) -> None:
    """Write the whole journal of a process that met no target and now ends. Raises OSError."""
    folder = config.store_path() + "-live"
    make_live_folder(folder)
    process_id = new_id()
    lines = [ascii(process_record(config, process_id, posix.getpid(), started_ns)), "\n"]
    lines += [
        _unmet_lines(*entry, started_ns) if type(entry) is tuple else pending_lines(entry, started_ns)  # type: ignore[arg-type]
        for entry in config.entries
    ]
    refs = [entry[0] if type(entry) is tuple else entry.ref for entry in config.entries]  # type: ignore[union-attr]
    for module, other in namesakes({ref.partition(":")[0] for ref in refs}).items():
        reason = seen_under(other)
        for ref in refs:
            if ref.partition(":")[0] == module:
                lines += [ascii(("A", ref, "failed", reason, "", started_ns)), "\n"]
    lines += [ascii(("E", time_ns(), "exit")), "\n"]
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
    descriptor = posix.open(f"{folder}/{process_id}.journal", flags, 0o666)
    try:
        posix.write(descriptor, "".join(lines).encode("ascii"))
    finally:
        posix.close(descriptor)

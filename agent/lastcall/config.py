"""Settings: one line each, with where its value came from.

A value comes from the first of: an argument of `lastcall.start()`, an environment variable, the
configuration file, the default. A broken setting never stops the host: it becomes a problem (one clear
sentence), the default holds, and everything else stays valid.
"""

from __future__ import annotations

import os
import sys
from stat import S_ISFIFO

from .words import METADATA, SCHEDULES, day_number, plain_module

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .callsite import Pattern
    from .targets import Target

LARGEST = 1e9
MOST = 1_000_000
"""Of call sites, whose counters are a file that is mapped, 8 bytes for each."""
FILE_NAMES = ("lastcall.toml", "pyproject.toml")


class Setting:
    """One setting: its name, environment variables (first wins), how to read it, its default, its meaning."""

    __slots__ = ("default", "doc", "env", "name", "read")

    def __init__(
        self,
        name: str,
        read: Callable[[Any], Any],
        default: Any,
        doc: str,
        env: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.env = ("LASTCALL_" + name.upper(), *env)
        self.read = read
        self.default = default
        self.doc = doc


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a string")  # noqa: TRY004 - the message is what was expected, for every reader alike
    return value


def names_in(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.replace("\n", ",").split(",")
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of strings")
    return tuple(item.strip() for item in value if item.strip())


def _seconds(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 < number < LARGEST:
        raise ValueError("a number of seconds above 0")
    return number


def _rate(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number < LARGEST:
        raise ValueError("a number of at least 0")
    return number


def _amount(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if isinstance(value, bool) or not 1 <= number <= MOST:
        raise ValueError(f"a whole number from 1 to {MOST}")
    return number


def _one_of(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError("one of " + ", ".join(choices))
        return str(value)

    return read


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("1", "true", "yes", "on"):
        return True
    if str(value).lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("true or false")


SETTINGS = (
    Setting(
        "service",
        _text,
        "",
        "The service observed; else the program's name.",
        ("OTEL_SERVICE_NAME", "K_SERVICE"),
    ),
    Setting(
        "environment",
        _text,
        "",
        "staging, production ...; else deployment.environment.name of the OTel resource.",
    ),
    Setting(
        "release",
        _text,
        "",
        "The release observed; else service.version, K_REVISION, the git commit.",
        ("K_REVISION",),
    ),
    Setting(
        "store", _text, "", "The database file. Default .lastcall/store.db, else in the user's state folder."
    ),
    Setting("exporters", names_in, ("store",), "Where evidence goes: store, otlp, gcp."),
    Setting("application", names_in, (), "Patterns of modules whose code is `direct`."),
    Setting("flush_interval", _seconds, 1.0, "Seconds between flushes."),
    Setting("observation_interval", _seconds, 600.0, "Seconds between explicit zeros."),
    Setting("exit_timeout", _seconds, 2.0, "Seconds that leaving may take, all exporters together."),
    Setting("max_sites", _amount, 10_000, "Call sites a process may hold; more are counted as dropped."),
    Setting("stack_depth", _amount, 50, "Frames of the stack kept at first sight."),
    Setting("engine", _one_of("auto", "wrapping", "inplace"), "auto", "How targets are armed."),
    Setting(
        "spans", _one_of("sampled", "all", "none"), "sampled", "all: a true current span around every call."
    ),
    Setting("span_budget", _rate, 1.0, "Sampled repeats a minute for each call site."),
    Setting("span_budget_process", _rate, 600.0, "Sampled repeats a minute for the process."),
    Setting(
        "otel_provider", _one_of("own", "global"), "own", "global: use the host's OpenTelemetry providers."
    ),
    Setting(
        "gcp_project", _text, "", "The Google Cloud project.", ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT")
    ),
    Setting(
        "gcp_endpoint",
        _text,
        "",
        "A private Cloud Logging/Monitoring endpoint; http:// for REST without credentials.",
    ),
    Setting("gcp_mode", _one_of("auto", "api", "stdout", "stderr"), "auto", "How Cloud Logging is written."),
    Setting(
        "impact", _switch, False, "Join uses to how their request ended (5xx, exception, close code 1011)."
    ),
    Setting(
        "sigterm",
        _one_of("auto", "flush", "leave"),
        "auto",
        "flush: send what waits when SIGTERM would end the process; auto: on Cloud Run and Kubernetes, with exporters.",
    ),
    Setting("metrics_by_site", _switch, False, "Also a metric series for each call site, under a cap."),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}
DISCOVER_KEYS = ("pep702", "warnings", "logs")
TARGET_KEYS = ("ref", "kind", "allow", "isolation", "mode", "brownout", "removed", *METADATA)
_TARGET_KEYS = frozenset(TARGET_KEYS)
_METADATA = frozenset(METADATA)
_CHECKED = frozenset(("since", "remove_by", "schedule"))
"""Metadata that is more than a text."""
_good_dates: set[str] = set()
"""Many targets have the same few dates, and to look at one takes 4 us."""


class Config:
    """All settings, the targets, and what was wrong. Attribute access gives a setting's value."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
        self.provenance: dict[str, str] = {setting.name: "default" for setting in SETTINGS}
        self.entries: list[Target | tuple[str, dict[str, str]]] = []
        """The targets, in their order. One that is named in full, and of which nothing but metadata is said, is a
        reference and that, until somebody asks for `targets`: hundreds may pass here at a start that meets none."""
        self.unmade: list[str] = []
        """The modules of those."""
        self.refs: set[str] = set()
        self.discover: dict[str, tuple[str, ...]] = {}
        self.check: dict[str, Any] = {}
        """What verdicts are asked for, as written: see `check_settings`. Nothing to the agent."""
        self.problems: list[str] = []
        self._looked_for_release = False
        self.file = ""
        self.started_in = _working_directory()
        self.root = self.started_in or os.sep
        self._stores: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        try:
            value = self.__dict__["values"][name]
        except KeyError:
            raise AttributeError(name) from None
        return self.find_release() if name == "release" and not value else value

    def find_release(self) -> str:
        """The release; if nobody names one, the commit checked out at the project's root.

        Looked for when it is first asked for: a start that meets no target does without. Not where that may be too
        late: see `_settle`.
        """
        if not self.values["release"] and not self._looked_for_release:
            from .git_commit import commit_at

            self._looked_for_release = True
            self.values["release"] = commit_at(self.root)
            if self.values["release"]:
                self.provenance["release"] = "the git commit"
        return str(self.values["release"])

    def set(self, setting: Setting, value: Any, where: str) -> None:
        """Take a value read at `where`, or note the problem and keep what is there."""
        try:
            self.values[setting.name] = setting.read(value)
        except ValueError as expected:
            self.problems.append(f"{where}: {setting.name} must be {expected}, not {value!r}")
        else:
            self.provenance[setting.name] = where

    @property
    def targets(self) -> list[Target]:
        """The targets, made now if they were not."""
        if self.unmade:
            from .targets import Target

            self.unmade = []
            self.entries = [Target(e[0], metadata=e[1]) if type(e) is tuple else e for e in self.entries]
        return self.entries  # type: ignore[return-value]  # by now

    @property
    def made(self) -> list[Target]:
        """Those targets that are made."""
        return [entry for entry in self.entries if type(entry) is not tuple]  # type: ignore[misc]

    @property
    def application_patterns(self) -> tuple[Pattern, ...]:
        """`application` as patterns."""
        from .callsite import Pattern

        return tuple(Pattern(text) for text in self.values["application"])

    def store_path(self) -> str:
        """The absolute path of the database file; its folder may not exist yet.

        It stays the same when the process goes to another folder (a daemon) or gives up being root (a worker).
        """
        configured = self.values["store"]
        path = self._stores.get(configured)
        if path is None:
            path = self._stores[configured] = store_path(configured, self.started_in)
        return path


def store_path(configured: str, working: str) -> str:
    """Where the store is: `configured`, else .lastcall/store.db in the folder `working` if it can be written, else
    in the user's state."""
    if configured:
        return _absolute(os.path.expanduser(configured), working)
    if working:
        folder = os.path.join(working, ".lastcall")
        if os.access(folder if os.path.isdir(folder) else working, os.W_OK | os.X_OK):
            return os.path.join(folder, "store.db")
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "lastcall", "store.db")


def _working_directory() -> str:
    """Empty if it was deleted, which a host need not notice."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _absolute(path: str, working: str) -> str:
    return os.path.normpath(os.path.join(working or os.sep, path))


def load(
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    cwd: str | None = None,
) -> Config:
    """Read the file, then the environment, then `overrides` (settings by name, and `targets`). Never raises."""
    env: Mapping[str, str] = os.environ if environ is None else environ
    config = Config()
    _load_file(config, env, cwd or config.root)
    for setting in SETTINGS:
        for name in setting.env:
            value = env.get(name)
            if value:
                # the file outranks the standard variables, not our own
                if name.startswith("LASTCALL_") or config.provenance[setting.name] == "default":
                    config.set(setting, value, "environment variable " + name)
                break
    _load_env_targets(config, env)
    _unknown_variables(config, env)
    for key, value in (overrides or {}).items():
        if key == "targets":
            for item in value:
                _take_target(config, {"ref": item} if isinstance(item, str) else item, ("lastcall.start()", 0))
        elif key == "discover":
            from .config_tables import take_discover

            take_discover(config, value, "lastcall.start()")
        elif key in BY_NAME:
            config.set(BY_NAME[key], value, "lastcall.start()")
        else:
            config.problems.append(
                f"lastcall.start(): unknown setting {key!r}{_nearest(key, tuple(BY_NAME))}"
            )
    _derive(config, env)
    _settle(config)
    return config


def _settle(config: Config) -> None:
    """Fix what would come out differently when the agent is made, a second from now: a process that is root may give
    that up, or change its root; one that embeds Python may meet its first target any time."""
    config.store_path()
    if os.geteuid() == 0 or not sys.orig_argv:
        config.find_release()


# -- the file ---------------------------------------------------------------------------------------


def _load_file(config: Config, env: Mapping[str, str], cwd: str) -> None:
    named = env.get("LASTCALL_CONFIG", "")
    if named:
        document = _read(config, _absolute(named, config.started_in), required=True)
        if document is not None:
            table = _tool_table(document)
            _take_document(config, document if table is None else _unwrap(table))
        return
    folder = os.path.abspath(cwd)
    while True:
        for name in FILE_NAMES:
            path = os.path.join(folder, name)
            if not os.path.isfile(path):
                continue
            document = _read(config, path, required=name == "lastcall.toml")
            if document is not None and name == "pyproject.toml":
                table = _tool_table(document)
                document = None if table is None else _unwrap(table)
            if document is not None or name == "lastcall.toml":
                config.file, config.root = path, folder
                if document is not None:
                    _take_document(config, document)
                return
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        folder = parent


_TABLES = ("target", "discover", "check")


def _tool_table(document: dict[str, Any]) -> Any:
    """What `[tool.lastcall]` is, if anything: whoever wrote it may have given it another type."""
    tool = document.get("tool")
    return tool.get("lastcall") if isinstance(tool, dict) else None


def _unwrap(table: Any) -> dict[str, Any]:
    """`[tool.lastcall]` holds the settings and, beside them, the other tables."""
    if not isinstance(table, dict):
        return {"lastcall": table}
    rest = {key: value for key, value in table.items() if key not in _TABLES}
    return {"lastcall": rest, **{key: table[key] for key in _TABLES if key in table}}


def _text_of(config: Config, path: str, *, required: bool) -> str | None:
    try:
        if S_ISFIFO(os.stat(path).st_mode):
            config.problems.append(f"{path}: is a pipe, which one process can read once; a file was expected")
            return None
        with open(path, encoding="utf-8") as file:
            return file.read().removeprefix("\ufeff")  # the mark that some editors put first; TOML knows none
    except (OSError, UnicodeDecodeError) as error:
        if required:
            config.problems.append(
                f"{path}: cannot be read ({error}); a readable UTF-8 TOML file was expected"
            )
        return None


def _read(config: Config, path: str, *, required: bool) -> dict[str, Any] | None:
    text = _text_of(config, path, required=required)
    if text is None:
        return None
    if not required and "tool.lastcall" not in text:
        return None
    config.file = path
    folder = os.path.dirname(path)
    if config.root == folder or config.root.startswith(folder.rstrip(os.sep) + os.sep):
        config.root = folder  # else the file lies apart from the project, which is where the process runs
    from . import toml_subset

    try:
        return toml_subset.loads(text)
    except (toml_subset.NotInSubset, RecursionError):
        pass
    from .config_tables import read_toml

    return read_toml(config, path, text)


def _take_document(config: Config, document: dict[str, Any]) -> None:
    where = config.file
    for key in document:
        if key not in ("lastcall", "tool", *_TABLES):
            known = ("[lastcall]", "[[target]]", "[discover]", "[check]")
            config.problems.append(f"{where}: unknown table [{key}]{_nearest(f'[{key}]', known)}")
    _take_settings(config, document.get("lastcall", {}), where)
    targets = document.get("target", [])
    if not isinstance(targets, list):
        config.problems.append(f"{where}: targets are written [[target]], with two brackets")
        targets = [targets]
    for number, table in enumerate(targets, 1):
        _take_target(config, table, (where, number))
    if "discover" in document:
        from .config_tables import take_discover

        take_discover(config, document["discover"], where)
    if "check" in document:
        from .config_tables import take_check

        take_check(config, document["check"], where)


def _take_settings(config: Config, settings: Any, where: str) -> None:
    if not isinstance(settings, dict):
        config.problems.append(f"{where}: [lastcall] must be a table")
        return
    for key, value in settings.items():
        if key in BY_NAME:
            config.set(BY_NAME[key], value, where)
        elif key == "targets":
            _take_refs(config, value, where)
        else:
            config.problems.append(
                f"{where}: unknown key {key!r} in [lastcall]{_nearest(key, tuple(BY_NAME))}"
            )


def _take_refs(config: Config, value: Any, where: str) -> None:
    try:
        refs = names_in(value)
    except ValueError as expected:
        config.problems.append(f"{where}: targets must be {expected}, not {value!r}")
        return
    for ref in refs:
        _add(config, ref, {}, {}, (where, 0))


def _take_target(config: Config, table: Any, place: tuple[str, int]) -> None:
    """Add the target that a `[[target]]` table describes. Hundreds may pass here at every start of a host.

    `place` is the file, or whatever else it stands in, and its number there, 0 if that has none.
    """
    if not isinstance(table, dict) or type(table.get("ref")) is not str:
        config.problems.append(f"{_where(place)}: a target needs ref = 'package.module:qualname'")
        return
    ref = table["ref"]
    metadata = {}
    conduct: dict[str, Any] = {}
    for key, value in table.items():
        if key in _METADATA:
            plain = type(value) is str and (key not in _CHECKED or value in _good_dates)
            metadata[key] = value if plain else _metadata(config, key, value, _where(place, ref))
        elif key not in _TARGET_KEYS:
            unknown = f"unknown key {key!r}{_nearest(key, TARGET_KEYS)}"
            config.problems.append(f"{_where(place, ref)}: {unknown}")
        elif key != "ref" and not conduct:
            from .config_tables import conduct as conduct_in

            conduct = conduct_in(config, table, _where(place, ref))
    _add(config, ref, metadata, conduct, place)


def _where(place: tuple[str, int], ref: str = "") -> str:
    """How a problem says which target it is about."""
    file, number = place
    return file + (f": target {number}" if number else "") + (f" ({ref})" if ref else "")


def _add(
    config: Config, ref: str, metadata: dict[str, str], conduct: dict[str, Any], place: tuple[str, int]
) -> None:
    """Add a target, unless there is one under this reference, or say what is wrong with that."""
    module = "" if conduct else plain_module(ref)
    if module:
        if ref not in config.refs:
            config.refs.add(ref)
            config.entries.append((ref, metadata))
            config.unmade.append(module)
        return
    from .targets import BadReferenceError, Target

    try:
        target = Target(ref, metadata=metadata, **conduct)
    except BadReferenceError as error:
        config.problems.append(f"{_where(place, ref)}: {error}")
    else:
        if target.ref not in config.refs:
            config.refs.add(target.ref)
            config.entries.append(target)


def _metadata(config: Config, key: str, value: Any, where: str) -> str:
    if not isinstance(value, str):
        value = str(value)  # a TOML date, or a number that is an issue's
    if key not in _CHECKED or value in _good_dates:
        return str(value)
    if key in ("since", "remove_by"):
        try:
            day_number(value)
        except ValueError as error:
            config.problems.append(f"{where}: {key}: {error}")
            return ""
        _good_dates.add(value)
    if key == "schedule" and value not in SCHEDULES:
        config.problems.append(f"{where}: schedule must be one of {', '.join(SCHEDULES[1:])}, not {value!r}")
        return ""
    return str(value)


# -- the environment --------------------------------------------------------------------------------

_OTHER_VARIABLES = (
    "LASTCALL_ENABLED",
    "LASTCALL_CONFIG",
    "LASTCALL_TARGETS",
    "LASTCALL_DEBUG",
    "LASTCALL_RERAISE",
    "LASTCALL_ENTERED",
    *("LASTCALL_DISCOVER_" + key.upper() for key in DISCOVER_KEYS),
)


def _load_env_targets(config: Config, env: Mapping[str, str]) -> None:
    for ref in env.get("LASTCALL_TARGETS", "").replace("\n", ",").split(","):
        if ref.strip():
            _add(config, ref.strip(), {}, {}, ("environment variable LASTCALL_TARGETS", 0))
    for key in DISCOVER_KEYS:
        value = env.get("LASTCALL_DISCOVER_" + key.upper())
        if value:
            config.discover[key] = names_in(value)


def _unknown_variables(config: Config, env: Mapping[str, str]) -> None:
    known = {setting.env[0] for setting in SETTINGS} | set(_OTHER_VARIABLES)
    for name in env:
        if name.startswith("LASTCALL_") and name not in known:
            config.problems.append(
                f"environment variable {name} is unknown{_nearest(name, tuple(sorted(known)))}"
            )


def _derive(config: Config, env: Mapping[str, str]) -> None:
    """Fill what has a default that depends on the process: names, release, exporters."""
    resource = dict(
        pair.partition("=")[::2] for pair in env.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",") if "=" in pair
    )
    values = config.values

    def fall_back(name: str, value: str, where: str) -> None:
        if not values[name] and value:
            values[name] = value
            config.provenance[name] = where

    fall_back("service", resource.get("service.name", ""), "OTEL_RESOURCE_ATTRIBUTES")
    fall_back("service", program_name(), "the program's name")
    fall_back("environment", resource.get("deployment.environment.name", ""), "OTEL_RESOURCE_ATTRIBUTES")
    version = resource.get("service.version", "")
    if version and config.provenance["release"] == "environment variable K_REVISION":
        values["release"] = ""
    fall_back("release", version, "OTEL_RESOURCE_ATTRIBUTES")
    if (
        env.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        and "otlp" not in values["exporters"]
        and config.provenance["exporters"] == "default"
    ):
        values["exporters"] = (*values["exporters"], "otlp")
        config.provenance["exporters"] = "environment variable OTEL_EXPORTER_OTLP_ENDPOINT"
    for name in values["exporters"]:
        if name not in ("store", "otlp", "gcp", "memory"):
            config.problems.append(
                f"{config.provenance['exporters']}: unknown exporter {name!r}{_nearest(name, ('store', 'otlp', 'gcp'))}"
            )


def program_name() -> str:
    """The script's or module's name, as a service name of last resort. `sys.argv` may not exist yet."""
    argv = getattr(sys, "argv", None) or getattr(sys, "orig_argv", [""])[1:] or [""]
    if argv[0] in ("-c", ""):
        return "python"
    if argv[0] == "-m":
        arguments = getattr(sys, "orig_argv", [])
        return arguments[arguments.index("-m") + 1] if "-m" in arguments[:-1] else "python"
    return os.path.splitext(os.path.basename(str(argv[0])))[0]


def _nearest(word: str, known: tuple[str, ...]) -> str:
    from .config_tables import nearest

    return nearest(word, known)

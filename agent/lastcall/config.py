"""Settings: one line each, with where its value came from.

A value comes from the first of: an argument of `lastcall.start()`, an environment variable, the
configuration file, the default. A broken setting never stops the host: it becomes a problem (one clear
sentence), the default holds, and everything else stays valid.
"""

from __future__ import annotations

import os
import sys
from stat import S_ISFIFO

from .words import plain_module

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .callsite import Pattern
    from .targets import Target

LARGEST = 1e9
MOST = 1_000_000
"""Of call sites, whose counters are a file that is mapped, 8 bytes for each."""
MAX_LENGTH = 10_000_000
"""Characters of a configuration file; /dev/zero has no end."""


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
    if not isinstance(value, str) or "\0" in value:  # which no path may hold
        raise ValueError("a string")
    return value


def names_in(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.replace("\n", ",").split(",")
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of strings")
    return tuple(item.strip() for item in value if item.strip())


def _number(value: Any) -> float:
    """`value` as a number; -1 if it is none, or one that no setting takes."""
    try:
        return -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):  # an integer in TOML may have any number of digits
        return -1.0


def _seconds(value: Any) -> float:
    number = _number(value)
    if not 0 < number < LARGEST:
        raise ValueError("a number of seconds above 0")
    return number


def _rate(value: Any) -> float:
    number = _number(value)
    if not 0 <= number < LARGEST:
        raise ValueError("a number of at least 0")
    return number


def _amount(value: Any) -> int:
    number = _number(value)
    if not 1 <= number <= MOST or number % 1:
        raise ValueError(f"a whole number from 1 to {MOST}")
    return int(number)


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
    Setting(
        "engine", _one_of("auto", "wrapping", "inplace"), "auto", "How targets are armed: auto, wrapping, inplace."
    ),
    Setting(
        "spans",
        _one_of("sampled", "all", "none"),
        "sampled",
        "sampled, none, or all: a true current span around every call.",
    ),
    Setting("span_budget", _rate, 1.0, "Sampled repeats a minute for each call site."),
    Setting("span_budget_process", _rate, 600.0, "Sampled repeats a minute for the process."),
    Setting(
        "otel_provider", _one_of("own", "global"), "own", "own, or global: use the host's OpenTelemetry providers."
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
    Setting(
        "gcp_mode",
        _one_of("auto", "api", "stdout", "stderr"),
        "auto",
        "How Cloud Logging is written: auto, api, stdout, stderr.",
    ),
    Setting(
        "impact", _switch, False, "Join uses to how their request ended (5xx, exception, close code 1011)."
    ),
    Setting(
        "sigterm",
        _one_of("auto", "flush", "leave"),
        "auto",
        "flush: send what waits when SIGTERM would end the process; leave: do not; auto: flush on Cloud Run and "
        "Kubernetes, with exporters.",
    ),
    Setting("metrics_by_site", _switch, False, "Also a metric series for each call site, under a cap."),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}
DISCOVER_KEYS = ("pep702", "warnings", "logs")


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
            self._looked_for_release = True
            if _has_repository(self.root):
                from .git_commit import commit_at

                self.values["release"] = commit_at(self.root)
            if self.values["release"]:
                self.provenance["release"] = "the git commit"
        return str(self.values["release"])

    def set(self, setting: Setting, value: Any, where: str) -> None:
        """Take a value read at `where`, or note the problem and keep what is there."""
        try:
            self.values[setting.name] = setting.read(value)
        except ValueError as expected:
            self.problems.append(f"{where}: {setting.name} must be {expected}, not {shown(value)}")
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
        return followed(_absolute(os.path.expanduser(configured), working))
    if working:
        folder = os.path.join(working, ".lastcall")
        if os.access(folder if os.path.isdir(folder) else working, os.W_OK | os.X_OK):
            return followed(os.path.join(folder, "store.db"))
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return followed(os.path.join(state, "lastcall", "store.db"))


def followed(path: str) -> str:
    """What a link leads to: live files lie beside the store itself, under whatever name it was given."""
    try:
        for _ in range(_MOST_LINKS):
            path = os.path.join(os.path.dirname(path), os.readlink(path))
    except OSError:
        pass
    return path


_MOST_LINKS = 40
"""As Linux itself follows."""


def _has_repository(folder: str) -> bool:
    """Whether it may be worth a module to look for a commit: hardly any container has one."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return False
        folder = parent
    return True


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
    _load_env_settings(config, env)
    _load_env_targets(config, env)
    _unknown_variables(config, env)
    for key, value in (overrides or {}).items():
        _take_argument(config, key, value)
    _derive(config, env)
    _settle(config)
    return config


def _take_argument(config: Config, key: str, value: Any) -> None:
    """Take one of what `lastcall.start()` was given."""
    where = "lastcall.start()"
    if key == "targets":
        from .config_file import take_target

        for item in value:
            take_target(config, {"ref": item} if isinstance(item, str) else item, (where, 0))
    elif key == "discover":
        from .config_tables import take_discover

        take_discover(config, value, where)
    elif key in BY_NAME:
        config.set(BY_NAME[key], value, where)
    else:
        config.problems.append(f"{where}: unknown setting {key!r}{nearest(key, tuple(BY_NAME))}")


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
        path = _absolute(named, config.started_in)
        text = _text_of(config, path, required=True)
        if text is not None:
            from . import config_file

            config_file.take(config, path, text)
        return
    folder = os.path.abspath(cwd)
    while not _take_from(config, folder):
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        folder = parent


def _take_from(config: Config, folder: str) -> bool:
    """Take the configuration file in `folder`. False if there is none."""
    path = os.path.join(folder, "lastcall.toml")
    if os.path.isfile(path):
        config.file, config.root = path, folder
        text = _text_of(config, path, required=True)
        if text is not None:
            from . import config_file

            config_file.take(config, path, text)
        return True
    path = os.path.join(folder, "pyproject.toml")
    text = _text_of(config, path, required=False) if os.path.isfile(path) else None
    if text is None or "tool.lastcall" not in text:
        return False
    from . import config_file

    return config_file.take_pyproject(config, path, text)


def _text_of(config: Config, path: str, *, required: bool) -> str | None:
    try:
        if S_ISFIFO(os.stat(path).st_mode):
            config.problems.append(f"{path}: is a pipe, which one process can read once; a file was expected")
            return None
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_LENGTH + 1)
        if len(text) <= MAX_LENGTH:
            return text.removeprefix("\ufeff")  # the mark that some editors put first; TOML knows none
        config.problems.append(f"{path}: has more than {MAX_LENGTH:,} characters; a configuration file was expected")
    except (OSError, UnicodeDecodeError) as error:
        if required:
            config.problems.append(
                f"{path}: cannot be read ({error}); a readable UTF-8 TOML file was expected"
            )
    return None


def shown(value: Any) -> str:
    """`value` as a problem quotes it, which is one sentence."""
    try:
        text = str(value) if type(value).__module__ == "datetime" else repr(value)  # a date as TOML writes it
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number that long"
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


_LONGEST = 100
"""Characters of a value that a problem quotes."""


def said_where(place: tuple[str, int], ref: str = "") -> str:
    """How a problem says which target it is about."""
    file, number = place
    return file + (f": target {number}" if number else "") + (f" ({ref})" if ref else "")


def add_target(
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
        config.problems.append(f"{said_where(place, ref)}: {error}")
    else:
        if target.ref not in config.refs:
            config.refs.add(target.ref)
            config.entries.append(target)


# -- the environment --------------------------------------------------------------------------------

_OTHER_VARIABLES = (
    "LASTCALL_ENABLED",
    "LASTCALL_CONFIG",
    "LASTCALL_TARGETS",
    "LASTCALL_DEBUG",
    "LASTCALL_RERAISE",
    *("LASTCALL_DISCOVER_" + key.upper() for key in DISCOVER_KEYS),
)


def _load_env_settings(config: Config, env: Mapping[str, str]) -> None:
    for setting in SETTINGS:
        for name in setting.env:
            value = env.get(name)
            if value:
                # the file outranks the standard variables, not our own
                if name.startswith("LASTCALL_") or config.provenance[setting.name] == "default":
                    config.set(setting, value, "environment variable " + name)
                break


def _load_env_targets(config: Config, env: Mapping[str, str]) -> None:
    for ref in env.get("LASTCALL_TARGETS", "").replace("\n", ",").split(","):
        if ref.strip():
            add_target(config, ref.strip(), {}, {}, ("environment variable LASTCALL_TARGETS", 0))
    for key in DISCOVER_KEYS:
        value = env.get("LASTCALL_DISCOVER_" + key.upper())
        if value:
            config.discover[key] = names_in(value)


def _unknown_variables(config: Config, env: Mapping[str, str]) -> None:
    known = {setting.env[0] for setting in SETTINGS} | set(_OTHER_VARIABLES)
    for name in env:
        if name.startswith("LASTCALL_") and name not in known:
            config.problems.append(
                f"environment variable {name} is unknown{nearest(name, tuple(sorted(known)))}"
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
                f"{config.provenance['exporters']}: unknown exporter {name!r}{nearest(name, ('store', 'otlp', 'gcp'))}"
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


def nearest(word: str, known: tuple[str, ...]) -> str:
    """What to say of an unknown word: `; did you mean ...?` if something near is known."""
    from . import config_tables

    return config_tables.nearest(word, known)

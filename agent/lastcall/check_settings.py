"""What `[check]` of the configuration says about every verdict, for what the command line leaves open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lastcall.errors import UsageError

if TYPE_CHECKING:
    from lastcall.config import Config
    from lastcall.dossier import Question

SOURCES = ("store", "gcp")
RELEASES = ("live", "all")
DEFAULT_WINDOW = "30d"


class CheckSettings:
    """The values of `[check]`, read once. An option that was given wins; what neither says has its default.

    Raises UsageError for a value of the wrong kind, and for a key that is unknown: a misspelled `require` must
    not make a verdict easier to reach.
    """

    def __init__(self, config: Config) -> None:
        wrong = [problem for problem in config.problems if "[check]" in problem]
        if wrong:
            raise UsageError(wrong[0] if wrong[0].endswith("?") else f"{wrong[0]}.")
        self._file = config.file or "the configuration"
        self._root = Path(config.root)
        self._table: dict[str, Any] = config.check

    def question(
        self,
        window: str = "",
        require: list[str] | None = None,
        ignore: list[str] | None = None,
        releases: str = "",
        *,
        strings: bool = True,
    ) -> Question:
        """What a verdict is asked for, with these options. Raises UsageError."""
        from lastcall.checking import duration, where
        from lastcall.dossier import Question

        required, called = self.places("require", require)
        ignored, also_called = self.places("ignore", ignore)
        return Question(
            window=duration(*self.window(window)),
            strings=strings,
            required=tuple(where(text, called) for text in required),
            ignored=tuple(where(text, also_called) for text in ignored),
            releases="all" if self.one_of("releases", releases, RELEASES) == "all" else "live",
        )

    def window(self, given: str) -> tuple[str, str]:
        """The window as text, and what to call it in a complaint."""
        if given or "window" not in self._table:
            return given or DEFAULT_WINDOW, "--window"
        return self._text("window"), f"{self._file}: window in [check]"

    def places(self, key: Literal["require", "ignore"], given: list[str] | None) -> tuple[list[str], str]:
        """`service=NAME,environment=NAME` entries, and what to call them in a complaint."""
        if given or key not in self._table:
            return given or [], f"--{key}"
        return self._texts(key), f"{self._file}: {key} in [check]"

    def paths(self, given: list[Path] | None) -> list[Path]:
        """Source folders; those of the file are relative to it."""
        if given or "path" not in self._table:
            return given or []
        folders = [self._root / text for text in self._texts("path")]
        for folder in folders:
            if not folder.is_dir():
                raise UsageError(f"{self._file}: path in [check] is {folder}, and {folder} is no folder.")
        return folders

    def one_of(self, key: Literal["releases", "source"], given: str, choices: tuple[str, ...]) -> str:
        """One of `choices`, the first of which is the default."""
        if given or key not in self._table:
            return given or choices[0]
        value = self._text(key)
        if value not in choices:
            raise self._wrong(key, f"one of {', '.join(choices)}")
        return value

    def project(self, given: str) -> str:
        """The Google Cloud project; empty if the agent's settings are to say."""
        return given or (self._text("project") if "project" in self._table else "")

    def _text(self, key: str) -> str:
        value = self._table[key]
        if not isinstance(value, str) or not value:
            raise self._wrong(key, "a text that says something" if value == "" else "a text")
        return value

    def _texts(self, key: str) -> list[str]:
        value = self._table[key]
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self._wrong(key, "a text or a list of texts")
        return value

    def _wrong(self, key: str, expected: str) -> UsageError:
        return UsageError(f"{self._file}: {key} in [check] must be {expected}, not {self._table[key]!r}.")

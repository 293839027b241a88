"""From names to the numbers that stand for them in the database."""

from __future__ import annotations

from lastcall.identity import digest

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    import sqlite3

    from lastcall.identity import Frame, Site

__all__ = ["Names", "digest"]

_KIND_OF_USE = {"construct": "class", "access": "attribute", "import": "module"}


class Names:
    """Looks names up and makes them, for one transaction: after a rollback the numbers mean nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[object, ...], int] = {}
        self._sites: dict[str, int] = {}
        self._site_ids: dict[int, str] = {}

    def scope(self, service: str, environment: str, release: str) -> int:
        return self._number("scope", service=service, environment=environment, release=release)

    def outcome(self, state: str, reason: str, engine: str) -> int:
        return self._number("outcome", state=state, reason=reason, engine=engine)

    def frame(self, frame: Frame) -> int:
        return self._number("frame", file=frame.file, line=frame.line, function=frame.function)

    def target(self, ref: str, use: str = "call") -> int:
        """The target's number. One that is known only from its uses gets the kind that `use` suggests."""
        key = ("target", ref)
        number = self._known.get(key)
        if number is None:
            self._connection.execute(
                "INSERT OR IGNORE INTO target"
                " VALUES (NULL, ?, 0, ?, '', '', '', '', '', '', '', 'seen', 0, '', 0)",
                (ref, _KIND_OF_USE.get(use, "function")),
            )
            (number,) = self._connection.execute("SELECT id FROM target WHERE ref = ?", (ref,)).fetchone()
            self._known[key] = number
        return int(number)

    def site(self, site: Site) -> int:
        """The site's number; of equal sites the first stack stays."""
        digest_of_site = site.id
        number = self._sites.get(digest_of_site)
        if number is not None:
            return number
        found = self._connection.execute("SELECT id FROM site WHERE digest = ?", (digest_of_site,)).fetchone()
        if found is None:
            cursor = self._connection.execute(
                "INSERT INTO site VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    digest_of_site,
                    self.target(site.target, site.use),
                    site.use,
                    site.file,
                    site.line,
                    site.function,
                    site.module,
                    site.expression,
                    site.origin,
                    site.during_import,
                    site.by_test,
                    site.scanner,
                    site.via,
                    site.note,
                    self.stack(site.stack) if site.stack else None,
                ),
            )
            number = int(cursor.lastrowid or 0)
        else:
            number = int(found[0])
        self._sites[digest_of_site], self._site_ids[number] = number, digest_of_site
        return number

    def forget_site(self, number: int) -> None:
        """To be called when this site may have been deleted."""
        known = self._site_ids.pop(number, None)
        if known is not None:
            del self._sites[known]

    def stack(self, frames: tuple[Frame, ...]) -> int:
        name = digest(f"{frame.file}\x1e{frame.line}\x1e{frame.function}" for frame in frames)
        return self._number(
            "stack",
            digest=name,
            frames="[" + ",".join([str(self.frame(frame)) for frame in frames]) + "]",
        )

    def _number(self, table: str, **values: str | int) -> int:
        key = (table, *values.values())
        number = self._known.get(key)
        if number is None:
            columns = " AND ".join(f"{name} = ?" for name in values)
            find = f"SELECT id FROM {table} WHERE {columns}"  # noqa: S608 - names from this module
            found = self._connection.execute(find, tuple(values.values())).fetchone()
            if found is None:
                marks = ", ".join("?" * len(values))
                insert = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"  # noqa: S608 - the same
                number = int(self._connection.execute(insert, tuple(values.values())).lastrowid or 0)
            else:
                number = int(found[0])
            self._known[key] = number
        return number

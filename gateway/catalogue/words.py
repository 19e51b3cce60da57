"""Reading a file of policies/, key by key. Reading goes on after a fault, so that all faults are reported together."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.settings import LANGUAGES

Words = Mapping[str, str]  # language → text
SENSITIVITIES = ("none", "sensitive", "special")
_NO_WORDS: Words = dict.fromkeys(LANGUAGES, "")


class CatalogueError(Exception):
    """Files of policies/ are wrong. Each fault tells the file, the key and what would be right."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class FileTable:
    """One table of a file. What is asked for and not there as it must be is noted in `faults`, and stands in empty."""

    where: str
    table: Mapping[str, Any]
    faults: list[str]

    def wrong(self, key: str, right: str) -> None:
        self.faults.append(f"{self.where}: {key}: {right}")

    def only(self, *keys: str) -> None:
        """No other keys: a mistyped one must not count as left out."""
        for key in sorted(self.table.keys() - set(keys)):
            near = difflib.get_close_matches(key, keys, n=1)
            self.wrong(key, f"there is no such key{f'; did you mean {near[0]}?' if near else ''}")

    def words(self, key: str) -> Words:
        found = self.table.get(key)
        if isinstance(found, dict) and all(isinstance(found.get(name), str) and found[name] for name in LANGUAGES):
            return found
        self.wrong(key, "write { " + ", ".join(f'{name} = "…"' for name in LANGUAGES) + " }")
        return _NO_WORDS

    def text(self, key: str) -> str:
        found = self.table.get(key)
        if isinstance(found, str) and found:
            return found
        self.wrong(key, "write a text")
        return ""

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.table.get(key, [])
        if isinstance(found, list) and all(isinstance(each, str) for each in found):
            return tuple(found)
        self.wrong(key, 'write a list of texts: ["…"]')
        return ()

    def flag(self, key: str) -> bool:
        found = self.table.get(key, False)
        if isinstance(found, bool):
            return found
        self.wrong(key, "write true or false")
        return False

    def one_of(self, key: str, known: Sequence[str], default: str | None = None) -> str:
        found = self.table.get(key, default)
        if found in known:
            return str(found)
        self.wrong(key, f"one of {', '.join(known)}")
        return known[0]

    def whole(self, key: str, low: int, high: int, default: int = 0) -> int:
        """A whole number from `low` to `high`."""
        found = self.table.get(key, default)
        if isinstance(found, int) and not isinstance(found, bool) and (low <= found <= high or key not in self.table):
            return found
        self.wrong(key, f"write a whole number from {low} to {high}")
        return default

    def below(self, name: str, table: Mapping[str, Any]) -> "FileTable":
        """A table inside this one."""
        return FileTable(f"{self.where}: {name}", table, self.faults)

    def within(self, key: str) -> "FileTable":
        """The one table of this name."""
        found = self.table.get(key)
        if isinstance(found, dict):
            return self.below(key, found)
        self.wrong(key, "write a table")
        return self.below(key, {})

    def rows(self, key: str) -> dict[str, "FileTable"]:
        """The tables below a table, by name; none where it is not there."""
        found = self.table.get(key, {})
        if not isinstance(found, dict):
            self.wrong(key, f"write tables: [{key}.NAME]")
            return {}
        for name in [name for name, row in found.items() if not isinstance(row, dict)]:
            self.wrong(f"{key}.{name}", "write a table")
        return {name: self.below(f"{key}.{name}", row) for name, row in found.items() if isinstance(row, dict)}

    def entries(self, key: str) -> list["FileTable"]:
        """The tables of a list, each called by its id or number in faults; of two with one id the second is a fault."""
        rows = self.table.get(key, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not rows:
            self.wrong(key, "list at least one")
            return []
        found = [self.below(str(row.get("id", f"{key} {number}")), row) for number, row in enumerate(rows, 1)]
        names = [str(row["id"]) for row in rows if "id" in row]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self.wrong(key, f"{name} stands twice")
        return found


def files(folder: Path, kind: str, faults: list[str], beside: Path | None = None) -> Iterable[tuple[Path, FileTable]]:
    """The files of policies/<kind>/, in order of their names. `beside`: another folder, whose files count as well where
    this one has none of the same name."""
    found = {path.name: path for path in (beside / kind).glob("*.toml")} if beside is not None else {}
    found |= {path.name: path for path in (folder / kind).glob("*.toml")}
    for _, path in sorted(found.items()):
        where = f"{kind}/{path.name}"
        try:
            yield path, FileTable(where, tomllib.loads(path.read_text(encoding="utf-8")), faults)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            faults.append(f"{where}: {error}")
        except OSError as error:
            faults.append(f"{where}: {error.strerror}")

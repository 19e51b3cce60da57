"""The catalogue: types of data, their fields, and purposes with caps, as written in policies/.

One wording for everybody: the consent screen, the list of sharings, the receipt and the
access log all take their words from here.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.consent.durations import Duration
from gateway.consent.durations import parse as parse_duration

Words = Mapping[str, str]  # language → text
SENSITIVITIES = ("none", "sensitive", "special")


class CatalogueError(Exception):
    """A file of policies/ is not as it must be. Says file, key and what would be right."""


@dataclass(frozen=True, slots=True)
class Field:
    id: str
    label: Words
    short: Words
    structural: bool  # always comes with its dataset
    sensitivity: str
    find: tuple[str, ...]
    comes_with: Words | None = None  # a sentence: what else goes when this is shared or withheld


@dataclass(frozen=True, slots=True)
class Dataset:
    id: str
    sector: str
    category: str
    label: Words
    short: Words
    long: Words
    sensitivity: str
    account: Words
    time: Mapping[str, str]
    fields: Mapping[str, Field]

    def structural(self) -> tuple[str, ...]:
        return tuple(field.id for field in self.fields.values() if field.structural)


@dataclass(frozen=True, slots=True)
class Caps:
    validity: Duration
    history: Duration
    retention: Duration
    frequency: tuple[tuple[int, str], ...]  # (times, per): every one binds
    texts: Mapping[str, str]  # the durations as written, to be told to an app that asks for more


@dataclass(frozen=True, slots=True)
class Purpose:
    code: str
    version: int
    title: Words
    text: Words
    dpv: str
    legal_basis: str
    datasets: tuple[str, ...]
    caps: Caps
    sha256: str


class Catalogue:
    def __init__(self, folder: Path) -> None:
        self.datasets: dict[str, Dataset] = {}
        self.purposes: dict[str, Purpose] = {}
        for path in sorted((folder / "datasets").glob("*.toml")):
            for dataset in _datasets(path):
                self.datasets[dataset.id] = dataset
        for path in sorted((folder / "purposes").glob("*.toml")):
            purpose = _purpose(path)
            self.purposes[purpose.code] = purpose
        for purpose in self.purposes.values():
            for unknown in set(purpose.datasets) - set(self.datasets):
                raise CatalogueError(f"purposes/{purpose.code}: datasets: {unknown} is in no file of datasets/")

    def sensitivity(self, dataset: str, fields: tuple[str, ...]) -> str:
        """The highest of the dataset and of the fields concerned."""
        known = self.datasets[dataset]
        found = [known.sensitivity, *(known.fields[name].sensitivity for name in fields if name in known.fields)]
        return max(found, key=SENSITIVITIES.index)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path.name}: {error}") from error


def _words(table: Mapping[str, Any], key: str, where: str) -> Words:
    words = table.get(key)
    if not isinstance(words, dict) or not all(isinstance(words.get(lang), str) for lang in ("fr", "en")):
        raise CatalogueError(f'{where}: {key}: write {{ fr = "…", en = "…" }}')
    return words


def _sensitivity(table: Mapping[str, Any], where: str, default: str | None = None) -> str:
    found = table.get("sensitivity", default)
    if found not in SENSITIVITIES:
        raise CatalogueError(f"{where}: sensitivity: one of {', '.join(SENSITIVITIES)}")
    return str(found)


def _datasets(path: Path) -> list[Dataset]:
    content = _read(path)
    found = []
    for table in content.get("dataset", []):
        where = f"datasets/{path.name}: {table.get('id', '(a dataset without id)')}"
        sensitivity = _sensitivity(table, where)
        fields = {}
        for row in table.get("field", []):
            there = f"{where}: {row.get('id', '(a field without id)')}"
            fields[row["id"]] = Field(
                id=row["id"],
                label=_words(row, "label", there),
                short=_words(row, "short", there),
                structural=bool(row.get("structural", False)),
                sensitivity=_sensitivity(row, there, sensitivity),
                find=tuple(row.get("find", ())),
                comes_with=_words(row, "comes_with", there) if isinstance(row.get("comes_with"), dict) else None,
            )
        if not fields:
            raise CatalogueError(f"{where}: field: list at least one")
        found.append(
            Dataset(
                id=table["id"],
                sector=content["sector"],
                category=table["category"],
                label=_words(table, "label", where),
                short=_words(table, "short", where),
                long=_words(table, "long", where),
                sensitivity=sensitivity,
                account=_words(table, "account", where),
                time=_words(table, "time", where),
                fields=fields,
            )
        )
    return found


def _purpose(path: Path) -> Purpose:
    table = _read(path)
    where = f"purposes/{path.name}"
    caps = table.get("caps", {})
    try:
        bounds = Caps(
            validity=parse_duration(caps["validity"]),
            history=parse_duration(caps["history"]),
            retention=parse_duration(caps["retention"]),
            frequency=tuple((int(row["times"]), str(row["per"])) for row in caps["frequency"]),
            texts={key: caps[key] for key in ("validity", "history", "retention")},
        )
        return Purpose(
            code=table["code"],
            version=int(table["version"]),
            title=_words(table, "title", where),
            text=_words(table, "text", where),
            dpv=table["dpv"],
            legal_basis=table["legal_basis"],
            datasets=tuple(table["datasets"]),
            caps=bounds,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise CatalogueError(f"{where}: {error}") from error

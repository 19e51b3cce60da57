"""Purposes: their fixed words, the data they may be used for, and caps on how much: policies/purposes/*.toml."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.catalogue.words import FileTable, Words
from gateway.ground.calendar.durations import Duration
from gateway.ground.calendar.durations import parse as parse_duration

CAPPED = ("validity", "history", "retention")
_NO_TIME = Duration(0, 0)


@dataclass(frozen=True, slots=True)
class Caps:
    validity: Duration
    history: Duration
    retention: Duration
    frequency: tuple[tuple[int, str], ...]  # (times, per); all of them apply
    texts: Mapping[str, str]  # the durations as written in the file, to tell an app that asks for more


@dataclass(frozen=True, slots=True)
class Purpose:
    code: str
    version: int
    title: Words
    text: Words
    dpv: str
    legal_basis: str
    datasets: tuple[str, ...]  # all that it covers
    declared: tuple[str, ...]  # of these, those that organisations define in their own declarations
    caps: Caps
    sha256: str


def purpose(path: Path, file: FileTable) -> Purpose:
    file.only("code", "version", "title", "text", "dpv", "legal_basis", "datasets", "declared", "caps")
    declared = file.texts("declared")
    return Purpose(
        code=file.text("code"),
        version=_number(file, "version"),
        title=file.words("title"),
        text=file.words("text"),
        dpv=file.text("dpv"),
        legal_basis=file.text("legal_basis"),
        datasets=(*file.texts("datasets"), *declared),
        declared=declared,
        caps=_caps(file.within("caps")),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _caps(caps: FileTable) -> Caps:
    caps.only(*CAPPED, "frequency")
    texts = {key: caps.text(key) for key in CAPPED}
    lengths = {key: _duration(caps, key, text) for key, text in texts.items()}
    rows = caps.entries("frequency") if "frequency" in caps.table else []  # none: as often as it likes
    for row in rows:
        row.only("times", "per")
    frequency = tuple((_number(row, "times"), row.text("per")) for row in rows)
    return Caps(**lengths, frequency=frequency, texts=texts)


def _duration(caps: FileTable, key: str, text: str) -> Duration:
    try:
        return parse_duration(text) if text else _NO_TIME
    except ValueError as error:
        caps.wrong(key, str(error))
        return _NO_TIME


def _number(entry: FileTable, key: str) -> int:
    found = entry.table.get(key)
    if isinstance(found, int) and not isinstance(found, bool) and found > 0:
        return found
    entry.wrong(key, "write a whole number above 0")
    return 0

"""What a draft promises, checked on the TOML alone: everything it names is there, and nothing is left undecided."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.formats.drafting.drafts import Options, compose
from gateway.formats.drafting.sources import read
from gateway.formats.drafting.writing import report, toml

SCALARS = set("sxbindvjp-!")
PARTS = "parameters calls pages records around required accounts csv namespaces shapes".split()
WRITTEN = {"local-datetime", "rfc3339", "date", "epoch-s", "epoch-ms", "month"}
_MEMBER = re.compile(r'("(?:[^"\\]|\\.)*"|[^\s"]\S*):([^\s:]+)')

Shapes = dict[str, dict[str, str]]


def drafted(kind: str, *paths: Path, only: tuple[str, ...] = (), root: str = "", **options: Any) -> str:
    """The TOML, and the report behind it as comments, so that both are looked through."""
    draft = compose(read(kind, list(paths), list(only), root), Options(**options), str(paths[0]))
    told = "\n".join(f"# {line}" for line in report(draft, "FILE"))
    return f"{toml(draft)}{told}\n"


def members(line: str) -> dict[str, str]:
    """The words of one line of [format.shapes]."""
    found = _MEMBER.findall(line)
    assert "".join(f"{name}:{word}" for name, word in found) == re.sub(
        r'("(?:[^"\\]|\\.)*")|\s', lambda match: match[1] or "", line
    )
    names = [_unquoted(name) for name, _ in found]
    assert len(set(names)) == len(names)
    return dict(zip(names, (word for _, word in found), strict=True))


def _unquoted(name: str) -> str:
    return str(json.loads(name)) if name.startswith('"') else name


def shapes(document: dict[str, Any]) -> Shapes:
    return {name: members(line) for name, line in document["format"]["shapes"].items()}


def base(word: str) -> str:
    return re.sub(r"(\*|\{\})+$", "", word)


def faults(text: str) -> list[str]:
    return list(_faults(tomllib.loads(text)))


def _faults(document: dict[str, Any]) -> Iterator[str]:
    table, form = shapes(document), document["format"]
    yield from _in_table(table)
    kept = [part for part in form if part in PARTS]
    if kept != sorted(kept, key=PARTS.index):
        yield f"order: {kept}"
    found_fields = set()
    for dataset in document["datasets"]:
        named = {call["records"] for call in form["calls"] if call["dataset"] == dataset["id"]}
        if len(named) != 1:
            yield f"{dataset['id']}: records {named}"
        record = named.pop()
        found = {place for field in dataset.get("field", ()) for place in field["find"]}
        found_fields |= found
        yield from (f"find: {place}" for place in found if not _is_there(table, place))
        yield from (
            f"{each['id']}: no way to {each['find']}" for each in dataset.get("field", ()) if _lost(table, record, each)
        )
        for name, word in table[record].items():
            if (f"{record}/{name}" in found) == (word == "-"):
                yield f"{record}/{name}:{word} is in {'a' if word == '-' else 'no'} field"
        ids = [field["id"] for field in dataset.get("field", ())]
        if len(set(ids)) != len(ids):
            yield f"{dataset['id']}: one id for two fields"
        if sum(field.get("structural", False) for field in dataset.get("field", ())) > 1:
            yield f"{dataset['id']}: two structural fields"
        if (at := dataset["time"].get("find")) and not _is_there(table, at):
            yield f"time: {at}"
        for field in dataset.get("field", ()):
            words = [base(table[kind][name]) for kind, _, name in (each.partition("/") for each in field["find"])]
            if "x" in words and sum(word in SCALARS for word in words) > 1:
                yield f"{field['id']}: free text is not alone"
            if field.get("structural") and set(words) & {"x", "j"}:
                yield f"{field['id']}: free text is structural"
    yield from _around_calls(document, table)


def _in_table(table: Shapes) -> Iterator[str]:
    for name, entries in table.items():
        yield from (f"{name}/{key}: {word}" for key, word in entries.items() if base(word) not in SCALARS | set(table))

    def deep(name: str, above: tuple[str, ...]) -> Iterator[str]:
        if name in above:
            yield f"{name} contains itself"
            return
        if name in clean:
            return
        for word in {base(word) for word in table.get(name, {}).values()} & set(table):
            yield from deep(word, (*above, name))
        clean.add(name)

    clean: set[str] = set()
    for name in table:
        yield from deep(name, ())


def _lost(table: Shapes, record: str, field: dict[str, Any]) -> bool:
    """Whether a member of a field stands in a type to which none of its other members leads."""
    reached, waiting = {record}, list(field["find"])
    while step := next((place for place in waiting if place.partition("/")[0] in reached), None):
        waiting.remove(step)
        kind, _, name = step.partition("/")
        reached.add(base(table[kind][name]))
    return bool(waiting)


def _is_there(table: Shapes, place: str) -> bool:
    kind, _, name = place.partition("/")
    return name in table.get(kind, {})


def _walked(table: Shapes, kind: str, path: str) -> bool:
    for step in path.split("."):
        if step not in table.get(kind, {}):
            return False
        kind = base(table[kind][step])
    return True


def _around_calls(document: dict[str, Any], table: Shapes) -> Iterator[str]:
    form = document["format"]
    names = [call["name"] for call in form["calls"]]
    if len(set(names)) != len(names):
        yield f"calls: {names}"
    for call in form["calls"]:
        yield from (f"query: {name}" for name in call.get("query", ()) if name not in form["parameters"])
        if not call["path"].startswith("/") or re.search(r"\{(?![a-z_]+\})", call["path"]):
            yield f"path: {call['path']}"
        if call["records"] not in table:
            yield f"records: {call['records']}"
    for parameter in form.get("parameters", {}).values():
        if parameter["as"] in ("from", "to") and parameter["written"] not in WRITTEN:
            yield f"written: {parameter}"
    for name, record in form["records"].items():
        paths = [record[key] for key in ("account", "instant") if key in record]
        paths += [path for key in ("span", "state", "parts") for path in record.get(key, ())]
        yield from (f"{name}: {path}" for path in paths if path != "TO FILL" and not _walked(table, name, path))
        envelopes = [kind for kind in table if record["at"] and _walked(table, kind, record["at"])]
        if record["at"] and not envelopes:
            yield f"{name}: at {record['at']}"


# ---- what the table of a draft lets through, word by word

_DECIMAL = re.compile(r"-?\d+(\.\d+)?")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


ADMITS: dict[str, Any] = {
    **dict.fromkeys("sxp", lambda value: isinstance(value, str)),
    "b": lambda value: isinstance(value, bool),
    "i": lambda value: _is_integer(value) and abs(value) < 2**63,
    "n": lambda value: _is_integer(value) or isinstance(value, float),
    "d": lambda value: isinstance(value, str) and bool(_DECIMAL.fullmatch(value)),
    "v": lambda value: isinstance(value, str | bool | int | float),
    "j": lambda value: True,
    "-": lambda value: True,
}


def admits(table: Shapes, word: str, value: Any) -> bool:
    """Whether a value has the kind that a word says; null always has."""
    if value is None:
        return True
    if word.endswith("*"):
        return isinstance(value, list) and all(admits(table, word[:-1], each) for each in value)
    if word.endswith("{}"):
        return isinstance(value, dict) and all(admits(table, word[:-2], each) for each in value.values())
    if word in ADMITS:
        return bool(ADMITS[word](value))
    known = table[word]
    return isinstance(value, dict) and all(
        name in known and admits(table, known[name], each) for name, each in value.items()
    )

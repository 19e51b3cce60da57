"""Dotted texts of a declaration as members of its types."""

from collections.abc import Mapping

from gateway.catalogue import shapes
from gateway.catalogue.formats import Member, Path
from gateway.catalogue.shapes import BadShape, Table, members
from gateway.catalogue.words import FileTable


def path_of(row: FileTable, key: str, table: Table, kind: str) -> Path:
    """The members that a dotted text names inside a type; () where the key is not there."""
    if key not in row.table:
        return ()
    return split(row, key, row.text(key), table, kind)


def split(row: FileTable, key: str, text: str, table: Table, kind: str) -> Path:
    """The members that a dotted text names inside a type; a fault where it leads nowhere."""
    path = resolved(table, kind, text)
    if path is None:
        row.wrong(key, f"{text!r} leads to no member of {kind}")
    return path or ()


def resolved(table: Table, kind: str, text: str) -> Path | None:
    """A dotted text as members: names may have dots themselves, so each is looked for at its full length first."""
    if not text:
        return ()
    known = _known(table, kind)
    if text in known:
        return (text,)
    for name in known:
        if text.startswith(name + "."):
            rest = resolved(table, shapes.inner(known[name]), text[len(name) + 1 :])
            if rest is not None:
                return (name, *rest)
    return None


def led_to(table: Table, kind: str, text: str) -> Path:
    """The members that a dotted text names inside a type; () where it leads nowhere."""
    return resolved(table, kind, text) or ()


def _known(table: Table, kind: str) -> Mapping[str, str]:
    """The members of a type; none where there is no such type, or its line is wrong."""
    try:
        return members(table, kind) if kind in table else {}
    except BadShape:
        return {}


def member_of(file: FileTable, key: str, text: str, table: Table) -> Member:
    """What `Type/member` names; a fault where there is none."""
    kind, _, name = text.partition("/")
    if name not in _known(table, kind):
        file.wrong(key, f"{text!r} is no Type/member of shapes")
    return kind, name

"""Whether a declared format can be one of XML: told when it is read, never at a call."""

import re
from collections.abc import Iterator

from lxml import etree

from gateway.catalogue.formats import Format, Path, along
from gateway.catalogue.shapes import inner, members
from gateway.formats.xml_table import ATTRIBUTE, ELEMENT, TEXT, XML, placed

Found = Iterator[tuple[str, str, str]]  # dataset or "", key, what is wrong or would be right
_NAME = re.compile(r"(?:[^\W\d][\w.-]*:)?[^\W\d][\w.-]*")
_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*|")
_RESERVED = (XML, "http://www.w3.org/2000/xmlns/")


def faults(form: Format) -> Found:
    if form.driver != "xml":
        for (kind, name), way in form.required.items():
            if way == "renumber":
                yield "", f"required.{kind}/{name}", "renumber is for XML"
        return
    yield from _namespaces(form)
    for kind in form.shapes:
        yield from _type(form, kind)
    for call in form.calls.values():
        yield from _place(form, call.name)
    yield from _read(form)
    yield from _neutral(form)


def _namespaces(form: Format) -> Found:
    for prefix, uri in form.namespaces.items():
        if not _PREFIX.fullmatch(prefix) or prefix.lower().startswith("xml"):
            yield "", f"namespaces.{prefix}", "a prefix is a name of letters and digits that does not begin with xml"
        if uri in _RESERVED or list(form.namespaces.values()).count(uri) > 1 or " " in uri:
            yield "", f"namespaces.{prefix}", "write each namespace once, without blanks; xml: needs none"
        elif not _is_uri(uri):
            yield "", f"namespaces.{prefix}", "write the address that stands behind xmlns in the organisation's answers"


def _is_uri(text: str) -> bool:
    try:
        etree.Element("x", nsmap={"x": text})
    except ValueError:
        return False
    return True


def _type(form: Format, kind: str) -> Found:
    keys: dict[tuple[str, str], str] = {}
    known = members(form.shapes, kind)
    elements = any(placed(form.namespaces, name)[0] == ELEMENT for name in known)
    for name, word in known.items():
        place, key, tag = placed(form.namespaces, name)
        where = f"shapes.{kind}"
        if place != TEXT and not _NAME.fullmatch(tag):
            yield "", where, f"{name} is no name of XML"
        prefix = tag.rpartition(":")[0]
        if prefix and prefix != "xml" and prefix not in form.namespaces:
            yield "", where, f"{name}: the prefix {prefix} is in no [format.namespaces]"
        if (place, key) in keys:
            yield "", where, f"{name} is the same as {keys[place, key]}"
        keys[place, key] = name
        if inner(word) == "j" or "{" in word or "**" in word:
            yield "", where, f"{name}: j, {{}} and lists of lists are not of XML; write the type of what stands there"
        if place != ELEMENT and (word.endswith("*") or inner(word) in form.shapes):
            yield "", where, f"{name}: an attribute or a text has one value, which is no type"
        if place == TEXT and elements and word not in ("x", "-", "!"):
            yield "", where, "a text beside elements is free text: write .:x"


def _place(form: Format, name: str) -> Found:
    call = form.calls[name]
    if call.records not in form.records:
        return
    at, single = form.place(call), form.single(call)
    if not at:
        yield "", f"calls.{name}.at", "begin with the name of the root element: Receipts.Receipt"
        return
    if len(at) == 1 and not single:
        yield "", f"calls.{name}.at", "there is one root element: write the list below it, or one = true"
    elif any(placed(form.namespaces, step)[0] != ELEMENT for step in at):
        yield "", f"calls.{name}.at", "name elements"


def _read(form: Format) -> Found:
    """That what is read in a record or beside the records is one text."""
    for kind, records in form.records.items():
        time = records.time
        for path in (records.account, *time.paths, time.length_path):
            yield from _one_text(form, f"records.{kind}", kind, path)
    if form.accounts is not None and form.accounts.call in form.calls:
        kind = form.calls[form.accounts.call].records
        table = form.accounts
        for path in (table.native, table.label, table.number, table.kind, *table.closed):
            yield from _one_text(form, "accounts", kind, path, several=True)
    if form.pages is not None:
        for kind in dict.fromkeys(call.envelope for call in form.calls.values() if call.pages):
            for path in (form.pages.at, form.pages.own, form.pages.start, form.pages.before):
                yield from _one_text(form, "pages", kind, path)
    for (kind, name), only in form.only.items():
        if kind in form.shapes:
            yield from _one_text(form, f"only.{kind}/{name}", kind, (only.member,))


def _one_text(form: Format, key: str, kind: str, path: Path, several: bool = False) -> Found:
    steps = along(form.shapes, kind, path) or []  # of a path through a list there are none
    words = [members(form.shapes, owner)[name] for owner, name in steps]
    if words and inner(words[-1]) in form.shapes:
        right = f"{'.'.join(path)}.." if TEXT in members(form.shapes, inner(words[-1])) else "one of its members"
        yield "", key, f"{'.'.join(path)} is an element with members: name {right}"
    elif path and path[0] not in members(form.shapes, kind):
        yield "", key, f"{path[0]} is not in {kind}: a call without further pages has pages = false"
    elif not several and path and (not words or words[-1].endswith("*")):
        yield "", key, f"{'.'.join(path)} may stand there several times"


def _neutral(form: Format) -> Found:
    for (kind, name), value in form.instead.items():
        word = members(form.shapes, kind).get(name, "s") if kind in form.shapes else "s"
        if inner(word) in form.shapes or name == TEXT or isinstance(value, dict | list):
            yield (
                "",
                f"required.{kind}/{name}",
                "a text can stand in place of an attribute or of an element with a text",
            )
    for (kind, name), way in form.required.items():
        if way != "renumber" or kind not in form.shapes:
            continue
        word = members(form.shapes, kind).get(name, "s")
        if kind in form.records or name.startswith(ATTRIBUTE) or name == TEXT or word.endswith("*"):
            yield "", f"required.{kind}/{name}", "renumber is for an element with a number, in a list inside a record"

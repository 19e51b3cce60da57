"""The resources in the entries of a feed: checked by the tables of their members, and written anew."""

import re
from collections.abc import Callable, Iterable, Iterator

from lxml import etree

from gateway.formats.espi.atom import INSTANCE, attributes, escaped, local, no_text, other, qualified
from gateway.formats.espi.readings import CLOSE, MARK, OPEN, Run
from gateway.formats.espi.shapes import CHILDREN, ESPI, LEAVES, NEVER
from gateway.formats.espi.skipped import Skipped
from gateway.formats.model import UnknownShape

_INTEGER = re.compile(r"-?[0-9]{1,15}")
_NIL = INSTANCE + "nil"
_NONE: frozenset[str] = frozenset()
_READING, _RUN = f"{{{ESPI}}}IntervalReading", f"{{{ESPI}}}{MARK.decode()}"


def readings_of(block: etree._Element, runs: list[bytes], where: str, skipped: Skipped) -> Iterator[Run]:
    """The readings of a block: recognised runs, and one by one what the grammar left. They leave the tree."""
    for child in block.iterchildren(_RUN, _READING):  # as in `check`
        if child.tag == _RUN:
            yield Run(runs[int(child.text or "")])
        else:
            yield Run(plain_reading(child, f"{where}/IntervalReading", skipped))
        block.remove(child)


def plain_reading(element: etree._Element, where: str, skipped: Skipped) -> bytes:
    """A reading as the grammar would have it: integers only, in schema order."""
    check(element, "IntervalReading", where, skipped)
    for leaf in element.iterdescendants(etree.Element):
        if len(leaf) == 0 and local(leaf) != "timePeriod" and not _INTEGER.fullmatch((leaf.text or "").strip()):
            raise UnknownShape(where)
    return (OPEN.decode() + written_children(element, "IntervalReading", frozenset(), str) + CLOSE.decode()).encode()


def check(element: etree._Element, kind: str, where: str, skipped: Skipped) -> None:
    """That what an element holds of the table is of its type and once, and no text stands beside children.

    What the table does not know is taken out, and so is what is never given of any type.
    """
    if element.attrib:
        attributes(element, _NONE, where, skipped)
    known = CHILDREN[kind]
    seen: set[str] = set()
    no_text(element, where)
    for child in element.iterchildren():  # has gone on to the next before it gives one, which may then be removed
        namespace, name = qualified(child, where)
        word = known.get(name)
        if namespace != ESPI or word is None:
            _take(element, child, namespace, name, where, skipped)
            continue
        if name in seen and not (word.endswith("*") or word == "-"):
            raise UnknownShape(f"{where}/{name}")
        seen.add(name)
        if word in LEAVES:
            if len(child):
                raise UnknownShape(f"{where}/{name}")
            if child.attrib and _is_nil(child, f"{where}/{name}", skipped):
                _take(element, child, namespace, name, where, skipped)
        elif word != "-":
            check(child, word.rstrip("*"), f"{where}/{name}", skipped)


def _is_nil(leaf: etree._Element, where: str, skipped: Skipped) -> bool:
    """Whether a leaf says that it has no value. Its other attributes are noted."""
    attributes(leaf, _NONE, where, skipped)
    return leaf.get(_NIL, "").strip() in ("true", "1") and not (leaf.text or "").strip()


def _take(
    element: etree._Element, child: etree._Element, namespace: str, name: str, where: str, skipped: Skipped
) -> None:
    """Takes a child out of the tree, and notes where."""
    if name == MARK.decode():
        name = "IntervalReading"
    if namespace != ESPI:
        skipped.element(where, other(name))
    elif name in NEVER:
        skipped.elements += 1  # known, and of every type
    else:
        skipped.element(where, name)
    element.remove(child)


def written_children(
    element: etree._Element, kind: str, withheld: frozenset[tuple[str, str]], outward: Callable[[str], str]
) -> str:
    """The given children of a checked element as XML text, in schema order. `outward`: a text as the app may see it."""
    found: dict[str, list[etree._Element]] = {}
    for child in element.iterchildren():
        found.setdefault(local(child), []).append(child)
    parts: list[str] = []
    for name, word in CHILDREN[kind].items():
        if word == "-" or (kind, name) in withheld:
            continue
        for child in found.get(name, ()):
            if word in LEAVES:
                text = (child.text or "").strip()
                is_number = word == "n" and _INTEGER.fullmatch(text)
                inner = escaped(text if is_number else outward(text))
            else:
                inner = written_children(child, word.rstrip("*"), withheld, outward)
            parts.append(f"<{name}>{inner}</{name}>")
    return "".join(parts)


def count_withheld(element: etree._Element, kind: str, withheld: frozenset[tuple[str, str]]) -> int:
    """How many elements of a checked element are not given."""
    taken = 0
    for child in element.iterchildren():
        name = local(child)
        word = CHILDREN[kind][name]
        if word == "-" or (kind, name) in withheld:
            taken += 1
        elif word not in LEAVES:
            taken += count_withheld(child, word.rstrip("*"), withheld)
    return taken


def integers(element: etree._Element, names: Iterable[str], where: str) -> list[int]:
    """The integer children of an element, as far as they are there. Raises UnknownShape when one is no integer."""
    found = []
    for name in names:
        text = element.findtext(f"{{{ESPI}}}{name}")
        if text is not None and not _INTEGER.fullmatch(text.strip()):
            raise UnknownShape(f"{where}/{name}")
        found += [] if text is None else [int(text)]
    return found

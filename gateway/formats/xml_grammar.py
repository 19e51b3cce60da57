"""The grammar of plain records: one regular expression for a type of record, and what of its groups is given.

A record is plain when its elements stand in the order of the table, each on its own, with declared attributes in that
order between double quotes, and texts without CDATA, comments or references but `&amp;`, `&lt;` and `&gt;`. The
expression recognises exactly that; what it has in its groups is given, and nothing else.

No possessive quantifier and no atomic group: Python before 3.11.5 goes on from the wrong place after some (CPython
gh-106052). None is needed: the character after `<` decides everywhere, and every repetition of elements is bounded.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gateway.formats.xml_table import (
    ATTRIBUTE,
    ELEMENT,
    TEXT,
    Part,
    XmlKind,
    XmlTable,
    escaped,
    neutral_text,
    reached,
)

_REPEATED = 64
_S = r"[ \t\r\n]*"
_NO_BLANK = r"[^ \t\r\n<]"
_GAP = re.compile(rb">[ \t\r\n]+<")
_NUMBERS = {"i": "[+-]?[0-9]+", "n": "[-+.0-9eE]+", "b": "(?:true|false|0|1)"}


class NotPlain(Exception):
    """A table whose records have no such grammar."""


def tag_of(part: Part, prefixes: Mapping[str, str]) -> str:
    """The name of a member as the document writes it. Raises KeyError where it cannot stand there."""
    uri, _, local = part.key.rpartition(" ")
    prefix = "" if part.place == ATTRIBUTE and not uri else prefixes[uri]
    return f"{prefix}:{local}" if prefix else local


class Grammar:
    """One regular expression, and what of its groups is given, written out as a function."""

    def __init__(self, table: XmlTable, prefixes: Mapping[str, str], ampersands: bool) -> None:
        self._table, self._prefixes = table, prefixes
        judged = "<>&\\r"  # what would be written otherwise than it stands there
        barred = judged if ampersands else judged.replace("&", "")
        self._word = f"[^{judged}]*"  # of what records are judged by
        self._quoted_word = f'[^{judged}"\\t\\n\\r]*'
        self._text = self._running(f"[^{barred}]*", "amp|lt|gt", ampersands)
        self._value = self._running(f'[^{barred}"\\t\\n\\r]*', "amp|lt|gt|quot", ampersands)
        self._full = f"(?:[^ \\t\\r\\n{barred}]{self._text})?"  # no text of blanks only
        self._groups = 0
        self.outputs: list[str] = []
        self.markers: list[str] = []
        self._heard: dict[tuple[str, ...], str] = {}  # path → its group
        self._whole: dict[str, str] = {}  # member of the record → its group, if it has one
        self._wanted = {
            tuple(part.name for part in path) for path in (*table.times, table.length, table.account) if path
        }
        self._wanted |= {(other.name,) for _, other, _ in table.only}
        self._account = tuple(part.name for part in table.account)

    @staticmethod
    def _running(part: str, references: str, ampersands: bool) -> str:
        return f"{part}(?:&(?:{references});{part})*" if ampersands else part

    # ---- the expression

    def _group(self, inside: str) -> tuple[str, str]:
        self._groups += 1
        return f"({inside})", f"g{self._groups}"

    def _open_group(self) -> str:
        """For one whose inside has groups too: its number comes first."""
        self._groups += 1
        return f"g{self._groups}"

    def _constant(self, text: str) -> None:
        self.outputs.append(repr(text.encode()))

    def _marked(self, character: str) -> str:
        """A group of one character that tells that something withheld is there."""
        text, name = self._group(character)
        self.markers.append(name)
        return text

    def expression(self) -> str:
        record = self._table.steps[-1]
        kind = self._table.record
        tag = tag_of(record, self._prefixes)
        self._constant(f"<{tag}")
        head = self._attributes(kind, ())
        self._neutral_attributes(kind, "")
        if kind.text is not None and kind.elements:
            raise NotPlain
        if kind.text is not None:
            inside = self._simple(kind, (), "", tag)
        else:
            self._constant(">")
            inside = f">{_S}{self._children(kind, (), '')}</{re.escape(tag)}>"
            self._constant(f"</{tag}>")
        missing = self._wanted - self._heard.keys()
        if missing:
            raise NotPlain
        return f"{_S}<{re.escape(tag)}{head}{inside}"

    def _attributes(self, kind: XmlKind, path: tuple[str, ...]) -> str:
        text = ""
        for part in kind.attributes.values():
            if part.refused or part.key.rpartition(" ")[0] not in {"", *self._prefixes}:
                continue
            tag, here = tag_of(part, self._prefixes), (*path, part.name)
            if tag != part.tag:
                continue  # another prefix: left to the tree
            name = re.escape(tag)
            if not part.given:
                if here in self._wanted:
                    raise NotPlain
                text += f'(?:{self._marked(" ")}{name}="{self._value}"|)'
            elif here in self._wanted or part.word == "p":
                whole = self._open_group()
                inner, said = self._group(_NUMBERS.get(part.word, self._quoted_word))
                text += f'(?:( {name}="{inner}")|)'
                self._given(part, here, whole, said, f' {tag}="', '"')
            else:
                value = _NUMBERS.get(part.word, self._value)
                inner, whole = self._group(f' {name}="{value}"')
                text += f"(?:{inner}|)"
                self._plainly(part, path, whole)
        return text

    def _plainly(self, part: Part, path: tuple[str, ...], whole: str) -> None:
        self.outputs.append(whole)
        if not path:
            self._whole[part.name] = whole

    def _given(self, part: Part, here: tuple[str, ...], whole: str, said: str, before: str, behind: str) -> None:
        """What is read, and mostly given as it is; but an account's number and an identifier are not."""
        self._heard[here] = said
        if here == self._account:
            self.outputs.append(f"({before.encode()!r} + ref + {behind.encode()!r})")
        elif part.word == "p":
            self.outputs.append(f"({before.encode()!r} + pair({said}) + {behind.encode()!r} if {whole} else b'')")
        else:
            self.outputs.append(whole)
        if len(here) == 1 and here != self._account:
            self._whole[part.name] = whole

    def _children(self, kind: XmlKind, path: tuple[str, ...], owner: str) -> str:
        text = ""
        for part in kind.parts.values():
            if part.place == ELEMENT and not part.refused:
                text += self._child(kind, part, path)
            for at, neutral in self._neutral(kind):
                if at == part.at:
                    self.outputs.append(f"({owner} and {neutral.encode()!r})" if owner else repr(neutral.encode()))
        if kind.counted is not None:
            raise NotPlain
        return text

    def _neutral(self, kind: XmlKind) -> Iterator[tuple[int, str]]:
        form = self._table.form
        positions = {at for at, _ in kind.neutral}
        for part in kind.parts.values():
            if part.at in positions:
                text = neutral_text(form.instead[kind.name, part.name])
                tag = tag_of(part, self._prefixes)
                yield part.at, f"<{tag}>{escaped(text)}</{tag}>"

    def _neutral_attributes(self, kind: XmlKind, owner: str) -> None:
        if kind.neutral_attributes:
            text = repr(kind.neutral_attributes.encode())
            self.outputs.append(f"({owner} and {text})" if owner else text)

    def _child(self, kind: XmlKind, part: Part, path: tuple[str, ...]) -> str:
        if part.key.rpartition(" ")[0] not in self._prefixes:
            return ""  # the document has no prefix for it
        tag, here = tag_of(part, self._prefixes), (*path, part.name)
        name = re.escape(tag)
        if not part.given:
            if any(wanted[: len(here)] == here for wanted in self._wanted):
                raise NotPlain
            return f"(?:{self._marked('<')}{self._withheld(part, name)}{_S}){{0,{_REPEATED if part.many else 1}}}"
        if part.many:
            if any(wanted[: len(here)] == here for wanted in self._wanted) or not _as_it_stands(part, self._table):
                raise NotPlain
            inner, whole = self._group(f"(?:<{self._unread(part, name)}{_S}){{0,{_REPEATED}}}")
            self.outputs.append(f"squeezed({whole})")
            return inner
        if part.kind is not None:
            return self._inside(part, part.kind, tag, here)
        if here in self._wanted or part.word == "p":
            whole = self._open_group()
            inner, said = self._group(_NUMBERS.get(part.word, self._word))
            self._given(part, here, whole, said, f"<{tag}>", f"</{tag}>")
            return f"(?:(<{name}>{inner}</{name}>){_S}|)"
        inner, whole = self._group(f"<{name}>{_NUMBERS.get(part.word, self._text)}</{name}>")
        self._plainly(part, path, whole)
        return f"(?:{inner}{_S}|)"

    def _inside(self, part: Part, kind: XmlKind, tag: str, here: tuple[str, ...]) -> str:
        """An element of a type that stands once at most."""
        name = re.escape(tag)
        if kind.text is not None and kind.elements:
            raise NotPlain
        opened, owner = self._group(f"<{name}")
        self.outputs.append(owner)
        head = self._attributes(kind, here)
        self._neutral_attributes(kind, owner)
        if kind.text is not None:
            return f"(?:{opened}{head}{self._simple(kind, here, owner, tag)}{_S}|)"
        end, mark = self._group(">")
        self.outputs.append(mark)
        children = self._children(kind, here, owner)
        closing, close = self._group(f"</{name}>")
        self.outputs.append(close)
        return f"(?:{opened}{head}{end}{_S}{children}{closing}{_S}|)"

    def _simple(self, kind: XmlKind, path: tuple[str, ...], owner: str, tag: str) -> str:
        """The end of a tag, the text, and the end tag of an element that has a text and no elements."""
        name, part, here = re.escape(tag), kind.text, (*path, TEXT)
        assert part is not None
        if part.refused:
            raise NotPlain
        if not part.given:
            if here in self._wanted:
                raise NotPlain
            end, mark = self._group(">")
            self.outputs.append(mark)
            withheld = f"(?:(?={_S}{self._marked(_NO_BLANK)})|){self._text}"
            closing, close = self._group(f"</{name}>")
            self.outputs.append(close)
            return f"{end}{withheld}{closing}"
        if here in self._wanted or part.word == "p":
            whole = self._open_group()
            inner, said = self._group(_NUMBERS.get(part.word, self._word))
            self._given(part, here, whole, said, ">", f"</{tag}>")
            return f"(>{inner}</{name}>)"
        inner, whole = self._group(f">{_NUMBERS.get(part.word, self._text)}</{name}>")
        self.outputs.append(whole)
        return inner

    def _withheld(self, part: Part, name: str) -> str:
        """The rest of an element of which nothing is given, after its `<`."""
        if part.kind is None:
            return f"{name}(?:>{self._text}</{name}>|/>)"
        return self._unread(part, name, self._text)

    def _unread(self, part: Part, name: str, text: str = "") -> str:
        """The same of one that is given or withheld as it stands."""
        kind, text = part.kind, text or self._full
        if kind is None:
            value = _NUMBERS.get(part.word, text) if part.given else text
            return f"{name}>{value}</{name}>"
        if kind.text is not None and kind.elements:
            raise NotPlain
        head = "".join(
            f'(?: {re.escape(tag_of(each, self._prefixes))}="{_NUMBERS.get(each.word, self._value)}"|)'
            for each in kind.attributes.values()
            if not each.refused and each.key.rpartition(" ")[0] in {"", *self._prefixes}
            and tag_of(each, self._prefixes) == each.tag
        )  # fmt: skip
        if kind.text is not None:
            return f"{name}{head}>{_NUMBERS.get(kind.text.word, text)}</{name}>"
        inside = ""
        for each in kind.elements.values():
            if not each.refused and each.key.rpartition(" ")[0] in self._prefixes:
                below = self._unread(each, re.escape(tag_of(each, self._prefixes)), text)
                inside += f"(?:<{below}{_S}){{0,{_REPEATED if each.many else 1}}}"
        return f"{name}{head}>{_S}{inside}</{name}>"

    # ---- the function

    def function(self) -> Callable[..., Any]:
        expression = self.expression()
        try:
            compiled = re.compile(expression.encode())
        except (re.error, OverflowError, RecursionError):
            raise NotPlain from None
        table = self._table
        names = ", ".join(f"g{number}" for number in range(1, self._groups + 1))
        times = [self._heard[tuple(part.name for part in path)] for path in (*table.times, table.length) if path]
        texts = ", ".join(f"{name}.strip().decode()" for name in times)
        lines = [
            "def window(records, body):",
            " inside, refs, pair = records.inside, records.encoded_refs, records.encoded_pair",
            " room = len(body) if records.most is None else records.most - records.kept",
            " at = found = fields = 0",
            " kept, places, spans = [], [], []",
            " while (record := match(body, at)) is not None:",
            "  at = record.end()",
            f"  {names}, = record.groups(b'')" if names else "  pass",
            "  found += 1",
            "  try:",
            f"   span = inside({texts})",
            "  except (ValueError, OverflowError):",
            "   records.found += found - 1",
            "   raise records.wrong_time() from None",
            "  if span is False: continue",
        ]
        if self._account:
            owner = self._heard[self._account]
            lines += [f"  owner = {owner}.strip()"]
            if not table.time.lenient:
                lines += ["  if not owner:", "   records.found += found - 1", "   raise records.wrong_account()"]
            lines += ["  ref = refs.get(owner)", "  if ref is None: continue"]
        lines += ["  if len(kept) >= room: continue"]
        for number, (part, other, _) in enumerate(table.only):
            if part.name not in self._whole or part.many:
                raise NotPlain
            whole, said = self._whole[part.name], self._heard[other.name,]
            lines += [f"  if {whole} and {said}.strip() not in values{number}:", f"   {whole} = b''", "   fields += 1"]
        marks = "".join(f"{name}, " for name in self.markers)
        lines += [
            f"  fields += len(b''.join(({marks})))" if marks else "  pass",
            f"  kept.append(b''.join(({''.join(f'{each}, ' for each in self._joined())})))",
            "  places.append(record)",
            "  if span is not True: spans.append(span)",
            " return at, found, kept, places, fields, spans",
        ]
        scope: dict[str, Any] = {"match": compiled.match, "squeezed": _squeezed}
        for number, (_, _, values) in enumerate(table.only):
            scope[f"values{number}"] = frozenset(value.encode() for value in values)
        made: dict[str, Any] = {}
        exec("\n".join(lines), scope, made)
        return made["window"]  # type: ignore[no-any-return]

    def _joined(self) -> list[str]:
        """The outputs, constants that stand together as one."""
        found: list[str] = []
        for each in self.outputs:
            if found and each.startswith("b'") and found[-1].startswith("b'"):
                found[-1] = repr(eval(found[-1]) + eval(each))
            else:
                found.append(each)
        return found


def _squeezed(text: bytes) -> bytes:
    """Without the blanks between elements. No text of it begins with one."""
    return _GAP.sub(b"><", text).rstrip() if text else text


def _as_it_stands(part: Part, table: XmlTable) -> bool:
    """Whether every byte of the element is given, whatever is in it."""
    if part.word == "p":
        return False
    if part.kind is None:
        return True
    kinds = list(reached([part.kind]))
    parts = [each for kind in kinds for each in kind.parts.values()]
    if any(kind.neutral or kind.neutral_attributes or kind.counted for kind in kinds):
        return False
    return all(each.given and each.word != "p" for each in parts)

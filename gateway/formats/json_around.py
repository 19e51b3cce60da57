"""What stands around the records of a JSON answer, written anew: a member without a rule never leaves.

Rules stand at members ([format.around]): a value that stays, a number of pages that only tells of this one, a date cut
to the window, an account's number. Those of addresses of pages ([format.pages]) stand at one place of the answer, since
a type may be that of other links, too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from gateway.catalogue.formats import Format, Member, Path, along
from gateway.catalogue.shapes import inner, members
from gateway.formats import json_values, stamps
from gateway.formats.model import UnknownShape
from gateway.formats.shapes import Reader, encode
from gateway.ground.calendar.instants import Window, utc_text

Beside = list[tuple[int, str, str, str]]  # (depth, type, member, attribute)
Refs = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What the rules need to know of one answer."""

    window: Window
    zone: str
    refs: Refs
    addresses: Mapping[str, str]  # rule → an address of the gateway's own, "" if there is none
    shown: Callable[[bytes], bytes]  # encoded JSON without any account's own name
    judges: bool  # nothing else says whose the records are


class Around:
    """For one call of a format. `governed` members that are not given stay out, whatever the rule says."""

    def __init__(self, form: Format, answer: str, at: Path, beside: Beside, withheld: frozenset[Member]) -> None:
        """`answer`: the type of the table that the whole answer is."""
        self._form, self._answer, self._at, self._withheld = form, answer, at, withheld
        self._rules = form.around
        self._pages: dict[Path, str] = {}  # where an address of a page stands → which
        pages = form.pages
        if pages is not None:
            for rule in ("own", "start", "before"):
                self._rule(rule, getattr(pages, rule))
            if pages.by in ("link", "cursor"):
                self._rule("next", pages.at)
        self.beside = [each for each in beside if self._matters(each[1], (*at[: each[0]], each[2]))]

    def _rule(self, rule: str, path: Path) -> None:
        if path and along(self._form.shapes, self._answer, path):
            self._pages[path] = rule

    @property
    def rules(self) -> dict[Member, str]:
        """All of them by member, for words about them."""
        ends = {path: along(self._form.shapes, self._answer, path) or [] for path in self._pages}
        return {**self._rules, **{steps[-1]: self._pages[path] for path, steps in ends.items()}}

    def _matters(self, kind: str, path: Path) -> bool:
        """Whether the member of this type at a place, or something inside it, has a rule."""
        if (kind, path[-1]) in self._rules or any(page[: len(path)] == path for page in self._pages):
            return True
        below = inner(members(self._form.shapes, kind)[path[-1]])
        return below in self._form.shapes and any(
            self._matters(below, (*path, each)) for each in members(self._form.shapes, below)
        )

    def led(self, texts: Mapping[Member, Raw], path: Path) -> str:
        """What the member at a path says, which leads to another page; "": nothing. Raises UnknownShape."""
        steps = along(self._form.shapes, self._answer, path) or []
        for depth, step in enumerate(steps):
            if step in texts:
                value = json_values.value(texts[step])
                for name in path[depth + 1 :]:
                    value = value.get(name) if isinstance(value, dict) else None
                if value is None or isinstance(value, str):
                    return value or ""
                if isinstance(value, int) and not isinstance(value, bool):
                    return str(value)
                raise UnknownShape(".".join(path))
        return ""

    def written(self, texts: Mapping[Member, Raw], how: Rewriting) -> tuple[bytes, bytes]:
        """The bytes before and behind the records."""
        before = behind = b""
        for depth, name in enumerate(self._at):
            kept: dict[str, Any] = {}
            for level, kind, member, _ in self.beside:
                if level == depth:
                    value = self._kept(kind, (*self._at[:depth], member), texts.get((kind, member)), how)
                    if value is not UNSET:
                        kept[member] = value
            before += b"{" + encode(name) + b":"
            inside = encode(kept)[1:-1]
            behind = (b"," + inside if inside else b"") + b"}" + behind
        return before, behind

    def _kept(self, kind: str, path: Path, text: Raw | None, how: Rewriting) -> Any:
        """The value of the member of this type at a place, as it leaves; UNSET: it does not."""
        member = path[-1]
        if (kind, member) in self._withheld:
            return UNSET
        if path in self._pages:
            return how.addresses.get(self._pages[path]) or UNSET
        rule = self._rules.get((kind, member))
        if rule == "account" and text is None and how.judges:
            raise UnknownShape(member)
        if rule is not None:
            return UNSET if text is None else self._ruled(rule, kind, member, text, how)
        below = inner(members(self._form.shapes, kind)[member])
        value = _inside(text, member)
        made: dict[str, Any] = {}
        for each in members(self._form.shapes, below):
            if self._matters(below, (*path, each)):
                found = self._kept(below, (*path, each), (value or {}).get(each), how)
                if found is not UNSET:
                    made[each] = found
        return made if made or value is not None else UNSET

    def _ruled(self, rule: str, kind: str, member: str, text: Raw, how: Rewriting) -> Any:
        word = members(self._form.shapes, kind)[member]
        if rule == "same":
            if bytes(text) == b"null":  # it may stand for any member
                return None
            reader = Reader(self._form.shapes, word, self._withheld, nulls=True, strict=False)
            return Raw(how.shown(encode(reader.read(text, member)[0])))
        return RULES[rule](json_values.value(text), how.window, how.zone, how.refs, member)


_EMPTY = (b"null", b"[]", b'""', b"false")


def _inside(text: Raw | None, member: str) -> dict[str, Raw] | None:
    """The members of an object; None: it is not there, or empty, as some servers write that. Raises UnknownShape."""
    if text is None or bytes(text) in _EMPTY:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Raw])
    except msgspec.ValidationError:
        raise UnknownShape(member) from None


def _only_page(value: Any, window: Window, zone: str, refs: Refs, member: str) -> Any:
    """A number of pages or records tells of what is withheld, unless there is one page."""
    return value if value in (1, "1") and not isinstance(value, bool) else UNSET


def _edge(side: str) -> Callable[..., Any]:
    def cut(value: Any, window: Window, zone: str, refs: Refs, member: str) -> Any:
        edge: datetime | None = window.start if side == "start" else window.end
        try:
            start, end = stamps.iso(value, zone)
        except (ValueError, OverflowError):
            return UNSET
        inside = edge is None or (start >= edge if side == "start" else end <= edge)
        return value if inside or edge is None else utc_text(edge)

    return cut


def _account(value: Any, window: Window, zone: str, refs: Refs, member: str) -> Any:
    """Whose the whole answer is."""
    try:
        return refs[stamps.text_of(value)]
    except (KeyError, ValueError):
        raise UnknownShape(member) from None


RULES: Mapping[str, Callable[..., Any]] = {
    "only-page": _only_page,
    "not-before": _edge("start"),
    "not-after": _edge("end"),
    "account": _account,
}

"""Any declaration, any answer, any consent: what leaves in JSON is what was agreed, with its exact texts, and no more.

The oracle reads with the json module, which keeps the texts of numbers here, and judges record by record. It never
looks at the gateway's tables or code; only identifiers are sealed with the gateway's own keys.
"""

import itertools
import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xml_documents import FOREIGN, MINE, OTHER, ZONE, dataset_of, form_of, plan_of, sent_of

from gateway.catalogue import shapes
from gateway.formats import registry
from gateway.formats.drift import Seen
from gateway.formats.model import Account, Counts, NotThere, UnknownShape
from gateway.ground.calendar.instants import Window
from gateway.ground.keys import Sealer
from tests.torture import TORTURE, many

SECOND = Account("33655555555", "ref-of-second")
REFS = {account.native: account.ref for account in (MINE, SECOND)}
NAMES = [
    "class", "from", "None", "lambda", "@context", "first-name", "Date of birth", "a.b", "a", "b", "a/b", "été", "x:y",
    "$ref", "_0", "_1", "__init__", "__post_init__", "*", "data{}", "日本", "two\u2028lines", "Prix\xa0TTC",
    "two  blanks", "mro", "it's", "{a}",
]  # fmt: skip
WORDS = st.sampled_from(["s", "x", "b", "i", "n", "d", "v", "j", "p", "-", "T", "T", "T", "n", "v"])
MARKS = st.sampled_from(["", "", "", "", "*", "**", "{}", "*{}", "{}*"])
ODD = [
    "", "", "", "été €", "日本", "\u2028", "\x00", "\x7f", 'say "x"', "back\\slash", "two\nlines", "\ufeff", "😀",
    "e\u0301", "&nbsp;", "%20", "１２", "</script>", "\\u0041", " blanks ", "\u202e",
]  # fmt: skip
EXACT = ["{}", "-{}", "{}.10", "-{}.0", "{}e400", "{}E-400", "0.{}0", "{}" + "0" * 23, "{}.000000000000000000000000001"]
PLAIN = ["-0", "0", "1.10", "1e400", "-0.0", "1E+2", "0.1e-7", "123456789012345678901234567890"]
SEALER = Sealer(bytes(32))

# edges of days that have 23, 24 and 25 hours in Paris, and of a 29 February
NIGHTS = [
    datetime(2024, 2, 28, 23, tzinfo=UTC), datetime(2024, 2, 29, 23, tzinfo=UTC), datetime(2025, 3, 29, 23, tzinfo=UTC),
    datetime(2025, 3, 30, 1, tzinfo=UTC), datetime(2025, 3, 30, 22, tzinfo=UTC), datetime(2025, 10, 25, 22, tzinfo=UTC),
    datetime(2025, 10, 26, tzinfo=UTC), datetime(2025, 10, 26, 1, tzinfo=UTC), datetime(2025, 10, 26, 23, tzinfo=UTC),
]  # fmt: skip
NEAR = [timedelta(seconds=each) for each in (-86400, -1800, -1, 0, 1, 1800, 86400)]
# a word of times → how the standard library writes and reads it
WRITTEN = {
    "dd/mm/yyyy": "%d/%m/%Y", "mm/dd/yyyy HH:MM": "%m/%d/%Y %H:%M", "dd.mm.yyyy HH:MM:SS": "%d.%m.%Y %H:%M:%S",
    "yyyy/mm/dd": "%Y/%m/%d", "yyyymmdd": "%Y%m%d", "ddmmyyyy": "%d%m%Y", "yyyymmddHHMMSS": "%Y%m%d%H%M%S",
    "yyyymm": "%Y%m", "mm/yyyy": "%m/%Y", "dd-mm-yyyy HH:MM": "%d-%m-%Y %H:%M",
}  # fmt: skip
ISO = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d", "%Y-%m", "%Y"]
LENGTHS = {"1800": 1800, "PT30M": 1800, "P1D": 86400, "PT1H30M": 5400, "0": 0, "P1DT1S": 86401}


@dataclass(frozen=True)
class Number:
    """A number of a document, by its text."""

    text: str


@dataclass(frozen=True)
class Time:
    """A record's own time. `length`: seconds, or the member that holds it."""

    how: str = "none"
    members: tuple[str, ...] = ()
    written: str = "iso"
    ends: bool = False
    length: int | str = 0
    months_from: int = 1
    word: str = "s"  # of the members


@dataclass(frozen=True)
class Case:
    """A declaration, a consent and an answer."""

    table: Mapping[str, Mapping[str, str]]
    fields: Mapping[str, tuple[str, ...]]  # field → its selectors
    granted: frozenset[str]
    at: tuple[str, ...] = ()
    one: bool = False
    account: str = ""
    holder: str = ""  # member in which account and time stand; "": in the record itself
    time: Time = Time()
    instead: Mapping[str, Any] = field(default_factory=dict)
    ways: Mapping[str, str] = field(default_factory=dict)
    only: str = ""  # a member given only where `way` is "in" or "both"
    same: bool = False  # whether the note beside the records stays
    most: int | None = None
    window: Window = Window(None, None)
    body: bytes = b""
    marks: tuple[str, ...] = ()


# ---- documents


def dumped(value: Any, ascii_: bool = False, blank: str = "") -> str:
    """JSON with the texts of numbers as they are."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, list):
        return f"[{blank}{f',{blank}'.join(dumped(each, ascii_, blank) for each in value)}{blank}]"
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key, ensure_ascii=ascii_)}{blank}:{dumped(each, ascii_, blank)}"
                 for key, each in value.items())  # fmt: skip
        return f"{{{blank}{f',{blank}'.join(pairs)}{blank}}}"
    return json.dumps(value, ensure_ascii=ascii_)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), "a key stands twice"
    return dict(pairs)


def loaded(body: bytes) -> Any:
    return json.loads(body, parse_int=Number, parse_float=Number, object_pairs_hook=_once)


class Writer:
    """Values of a table, each with a mark that stands nowhere else."""

    def __init__(self, case: Case, seed: int, unknown: bool, broken: bool) -> None:
        self.case, self.chance, self.unknown, self.broken = case, random.Random(seed), unknown, broken
        self.marks: list[str] = []

    def mark(self, form: str) -> str:
        self.marks.append(form.format(len(self.marks)))
        return self.marks[-1]

    def often(self, of: int) -> bool:
        """In all but one of so many cases."""
        return self.chance.randrange(of) > 0

    def text(self) -> str:
        return self.mark("q{:05}q") + self.chance.choice(ODD)

    def number(self) -> Number:
        if not self.often(6):
            return Number(self.chance.choice(PLAIN))
        return Number(self.chance.choice(EXACT).format(self.mark("9{:05}9")))

    def scalar(self, word: str) -> Any:
        whole = Number(f"{self.chance.choice(['', '-'])}{self.mark('9{:05}9')}{self.chance.choice(['', '0' * 23])}")
        choices = {
            "b": lambda: self.chance.choice([True, False]),
            "i": lambda: whole,
            "n": self.number,
            "d": lambda: self.mark("9{:05}9") + ".10",
            "p": lambda: self.chance.choice([self.text(), whole]),
            "v": lambda: self.chance.choice([self.text(), self.number(), True]),
            "j": lambda: self.anything(2),
            "-": lambda: self.anything(1),
        }
        return choices.get(word, self.text)()

    def anything(self, depth: int) -> Any:
        if not depth:
            return self.chance.choice([self.text(), self.number(), None, False])
        inside = [self.anything(depth - 1) for _ in range(self.chance.randrange(3))]
        return self.chance.choice([inside, {self.text(): each for each in inside}, self.anything(0)])

    def value(self, word: str) -> Any:
        """Of a word. What stands in a list or a type may be null."""
        if word.endswith("*"):
            return [self.inside(word[:-1]) for _ in range(self.chance.randrange(3))]
        if word.endswith("{}"):
            return {self.text(): self.inside(word[:-2]) for _ in range(self.chance.randrange(3))}
        return self.type(word) if word in self.case.table else self.scalar(word)

    def inside(self, word: str) -> Any:
        return self.value(word) if self.often(6) else None

    def type(self, kind: str) -> dict[str, Any]:
        found = {}
        for name, word in self.case.table[kind].items():
            if word.rstrip("*{}") == "!":
                if self.broken and not self.often(4):
                    found[name] = self.chance.choice([None, self.text()])
            elif self.often(4):
                found[name] = self.inside(word)
        if self.unknown and not self.often(6):
            found["unheard " + self.text()] = self.anything(1)
        return found

    def shuffled(self, found: dict[str, Any]) -> dict[str, Any]:
        return dict(self.chance.sample(list(found.items()), len(found)))

    def record(self) -> dict[str, Any]:
        case = self.case
        found = self.type("Row")
        judged: dict[str, Any] = self.stamps() if case.time.how != "none" else {}
        if case.account:
            owner: Any = self.chance.choice([MINE.native, MINE.native, SECOND.native, OTHER.native, FOREIGN])
            if case.table["Held" if case.holder else "Row"][case.account] != "s":
                owner = Number(owner)
            if self.broken and not self.often(8):
                owner = None
            judged[case.account] = owner
        for name in list(judged):
            if judged[name] is None and self.often(2):
                del judged[name]
        found["way"] = self.chance.choice(["in", "both", "out", "", None])
        if case.holder:
            found[case.holder] = judged if judged or self.often(2) else None
        else:
            for name in (*case.time.members, case.account, case.time.length):
                found.pop(name, None)  # type: ignore[arg-type]
            found |= judged
        return self.shuffled(found)

    def stamps(self) -> dict[str, Any]:
        time = self.case.time
        if time.how == "parts":
            year, month, day = self.chance.choice([(2024, 2, 29), (2024, 2, 28), (2024, 3, 1), (2025, 3, 30)])
            numbers = [year, month - 1 + time.months_from, day if self.often(20) or not self.broken else 32]
            found = {name: self.as_word(str(each)) for name, each in zip(time.members, numbers, strict=False)}
        else:
            moments = sorted(self.chance.choice(NIGHTS[:3]) + self.chance.choice(NEAR) for _ in time.members)
            found = {name: self.stamp(each) for name, each in zip(time.members, moments, strict=True)}
        if isinstance(time.length, str):
            lengths = [*LENGTHS, None, ""] if self.often(12) or not self.broken else ["P1M"]
            found[time.length] = self.chance.choice(lengths)
        if not self.often(8):
            empty = "" if time.word in ("s", "v") else None
            found[self.chance.choice(time.members)] = self.chance.choice([None, empty])
        if self.broken and not self.often(12):
            found[self.chance.choice(time.members)] = self.as_word("20259999999999999999")
        return found

    def as_word(self, text: str) -> Any:
        return Number(text) if self.case.time.word in ("i", "n") else text

    def stamp(self, moment: datetime) -> Any:
        written, local = self.case.time.written, moment.astimezone(ZoneInfo(ZONE))
        if written in ("epoch-s", "epoch-ms"):
            return self.as_word(str(int(moment.timestamp()) * (1000 if written == "epoch-ms" else 1)))
        if written != "iso":
            return local.strftime(WRITTEN[written])
        exact = [moment.isoformat(), moment.strftime(ISO[0]) + "Z", local.isoformat(), moment.isoformat()[:-6] + ".5Z"]
        return self.chance.choice(exact) if self.often(3) else local.strftime(self.chance.choice(ISO))

    def answer(self, records: list[Any], missing: bool) -> bytes:
        found: Any = None if missing and self.case.at else records[0] if self.case.one else records
        for depth, name in reversed(list(enumerate(self.case.at))):
            found = {name: found} if found is not None or self.often(2) else {}
            if self.often(2):
                found["total"] = self.number()
            if self.often(3) and depth == 0:
                found["note"] = self.text() if self.often(6) else None
            if self.unknown and not self.often(4):
                found["unheard"] = self.anything(1)
            found = self.shuffled(found)
        ascii_, blank = self.chance.choice([True, False]), self.chance.choice(["", "", " ", "\n\t"])
        return (blank + dumped(found, ascii_, blank) + blank).encode()


# ---- the oracle


class Refused(Exception):
    """Nothing of the answer leaves."""


class Missing(Exception):
    """The one record is not there for this app."""


class Oracle:
    def __init__(self, case: Case) -> None:
        self.case, self.strange = case, 0  # `strange`: members met that are not declared
        selectors = [(name, text) for name, found in case.fields.items() for text in found]
        given_ = {text.lstrip("&") for name, text in selectors if name in case.granted}
        shared = {text[1:] for name, text in selectors if text[0] == "&" and name not in case.granted}
        self.given = given_ - shared
        self.governed = {"Row", *(text.lstrip("&").partition("/")[0] for _, text in selectors)}

    def answer(self) -> tuple[Any, Counts]:
        case = self.case
        found = loaded(case.body)
        outer: list[dict[str, Any]] = []
        for depth, name in enumerate(case.at):
            if found is None:
                raise Refused
            self.strange += len(found.keys() - {name, "total", *(["note"] if depth == 0 else [])})
            outer.append({"note": found["note"]} if depth == 0 and case.same and "note" in found else {})
            if name not in found and (self.strange or depth < len(case.at) - 1):  # the list may have another name now
                raise Refused
            found = found.get(name)
        records = ([] if found is None else [found]) if case.one else found or []
        text, counts = self.records(records)
        for name, beside in zip(reversed(case.at), reversed(outer), strict=True):
            text = {name: text, **beside}
        return text, counts

    def records(self, records: list[Any]) -> tuple[Any, Counts]:
        case = self.case
        if None in records:
            raise Refused
        cut = [self.pruned("Row", record) for record in records]  # all of them: any may refuse the answer
        kept, taken, spans = [], 0, []
        most = 0 if self.drops() else len(records) if case.most is None else case.most
        for record, (left, count) in zip(records, cut, strict=True):
            span = self.span(record)
            if span is None or not self.agreed(*span):
                continue
            if case.account:
                owner = self.judged(record).get(case.account)
                if owner is None:
                    raise Refused
                ref = REFS.get(owner.text if isinstance(owner, Number) else owner)
                if ref is None:
                    continue
                (left[case.holder] if case.holder else left)[case.account] = ref
            if len(kept) < most:
                kept.append(left)
                taken += count + self.limited(left, record)
                spans.append(span)
        timed = case.time.how not in ("none", "state") and spans
        first, last = (min(s for s, _ in spans), max(e for _, e in spans)) if timed else (None, None)
        if case.one and not kept:
            raise Missing
        return kept[0] if case.one else kept, Counts(len(kept), len(records) - len(kept), taken, first, last)  # type: ignore[arg-type]

    def drops(self) -> bool:
        return any(way == "drop_record" and text not in self.given for text, way in self.case.ways.items())

    def limited(self, left: dict[str, Any], record: dict[str, Any]) -> int:
        """Takes out what is given only with one of some values."""
        name = self.case.only
        if not name or f"Row/{name}" not in self.given or name not in left or record.get("way") in ("in", "both"):
            return 0
        del left[name]
        return 1

    def pruned(self, word: str, value: Any) -> tuple[Any, int]:
        """What is left of a value, and how many members were taken out of it."""
        if value is None:
            return None, 0
        if word.endswith("*"):
            found = [self.pruned(word[:-1], each) for each in value]
            return [each for each, _ in found], sum(count for _, count in found)
        if word.endswith("{}"):
            named = {key: self.pruned(word[:-2], each) for key, each in value.items()}
            return {key: each for key, (each, _) in named.items()}, sum(count for _, count in named.values())
        if word in self.case.table:
            return self.members(word, value)
        if word == "p":
            return SEALER.seal(value.text if isinstance(value, Number) else value, "id", "shop", "pair"), 0
        return value, 0

    def members(self, kind: str, value: dict[str, Any]) -> tuple[Any, int]:
        left, taken = {}, 0
        self.strange += len(value.keys() - self.case.table[kind].keys())
        for name, word in self.case.table[kind].items():
            text = f"{kind}/{name}"
            if word.rstrip("*{}") == "!":
                if name in value:
                    raise Refused
            elif word.rstrip("*{}") == "-" or (kind in self.governed and text not in self.given):
                taken += name in value
                if text in self.case.instead:
                    left[name] = loaded(json.dumps(self.case.instead[text]).encode())
            elif name in value:
                left[name], count = self.pruned(word, value[name])
                taken += count
        return left, taken

    # a record's own time

    def judged(self, record: dict[str, Any]) -> dict[str, Any]:
        return (record.get(self.case.holder) or {}) if self.case.holder else record

    def span(self, record: dict[str, Any]) -> tuple[Any, Any] | None:
        """Of time that a record covers; an open side is None. None: it has no time, so it is not given."""
        time, held = self.case.time, self.judged(record)
        if time.how == "none":
            return None, None
        texts = [self.plain(held.get(name)) or None for name in time.members]  # "" says nothing
        try:
            if time.how == "state":
                first = None if texts[0] is None else stamped(texts[0], time.written)[0]
                return first, None if len(texts) < 2 or texts[1] is None else stamped(texts[1], time.written)[1]
            if any(text is None for text in texts):
                return None
            if time.how == "parts":
                start, end = of_parts([int(text) for text in texts if text is not None], time.months_from)
            else:
                spans = [stamped(text, time.written) for text in texts if text is not None]
                start, end = spans[0][0], spans[-1][1]
            if end < start:
                raise Refused
            if time.length:
                lasts = time.length if isinstance(time.length, int) else self.plain(held.get(time.length))
                if lasts is None or lasts == "":
                    return None
                seconds = timedelta(seconds=lasts if isinstance(lasts, int) else LENGTHS[lasts])
                start, end = (start - seconds, end) if time.ends else (start, max(end, start + seconds))
        except (ValueError, KeyError, OverflowError, OSError):
            raise Refused from None
        return start, end

    def plain(self, value: Any) -> str | None:
        return value.text if isinstance(value, Number) else value

    def agreed(self, start: datetime | None, end: datetime | None) -> bool:
        low, high = self.case.window.start, self.case.window.end
        if self.case.time.how == "none":
            return True
        if self.case.time.how == "state":
            before = high is not None and start is not None and start >= high
            if start is not None and end is not None and end < start:
                return False
            return not before and not (low is not None and end is not None and end <= low)
        assert start is not None and end is not None
        return (low is None or start >= low) and (high is None or (start < high and end <= high))


def stamped(text: str, written: str) -> tuple[datetime, datetime]:
    if written in ("epoch-s", "epoch-ms"):
        moment = datetime.fromtimestamp(int(text) / (1 if written == "epoch-s" else 1000), UTC)
        return moment, moment
    if written == "iso" and re.search(r"Z$|[+-]\d\d:\d\d$", text):
        moment = datetime.fromisoformat(text).astimezone(UTC)
        return moment, moment
    for form in ISO if written == "iso" else [WRITTEN[written]]:
        try:
            found = datetime.strptime(text, form)
        except ValueError:
            continue
        if "%H" in form:
            return in_zone(found), in_zone(found)
        return whole(found, 1 + ("%m" in form) + ("%d" in form))
    raise ValueError(text)


def in_zone(local: datetime) -> datetime:
    return local.replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC)


def whole(first: datetime, parts: int) -> tuple[datetime, datetime]:
    """A local year, month or day."""
    if parts == 3:
        return in_zone(first), in_zone(first + timedelta(days=1))
    later = first + timedelta(days=32 if parts == 2 else 366)
    return in_zone(first), in_zone(later.replace(day=1, month=later.month if parts == 2 else 1))


def of_parts(numbers: list[int], months_from: int) -> tuple[datetime, datetime]:
    year, month, day = (*numbers, months_from, 1)[:3] if len(numbers) == 1 else (*numbers, 1)[:3]
    return whole(datetime(year, month + 1 - months_from, day), len(numbers))


# ---- declarations


@st.composite
def tables(draw) -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = {}
    done: list[str] = []
    numbers = itertools.count(1)

    def word(depth: int) -> str:
        found = draw(WORDS)
        if found != "T":
            return found
        if depth > 2 or (done and draw(st.booleans())):
            return draw(st.sampled_from(done)) if done else "s"
        return kind(f"T{next(numbers)}", depth)

    def kind(name: str, depth: int) -> str:
        names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5 - depth))
        table[name] = {each: word(depth + 1) + draw(MARKS) for each in names}
        if draw(st.integers(0, 7)) == 0:
            table[name]["never"] = draw(st.sampled_from(["!", "!*", "!{}"]))
        done.append(name)
        return name

    kind("Row", 0)
    return {name: {"id": "s", **table[name]} if name == "Row" else table[name] for name in table if table[name]} | {
        name: {"id": "s"} for name in table if not table[name]
    }


@st.composite
def times(draw) -> Time:
    how = draw(st.sampled_from(["none", "instant", "instant", "span", "span", "state", "parts"]))
    if how == "none":
        return Time()
    if how == "parts":
        count = draw(st.integers(1, 3))
        members = ("while", "@month", "day.no")[:count]
        return Time(how, members, months_from=draw(st.sampled_from([0, 1])), word=draw(st.sampled_from("sivn")))
    written = draw(st.sampled_from(["iso", "iso", "iso", "epoch-s", "epoch-ms", *WRITTEN]))
    members = (draw(st.sampled_from(["at", "while", "@at", "at time", "at.time"])), "until")
    members = members[: 1 if how == "instant" else draw(st.integers(1, 2))]
    word = draw(st.sampled_from("sivn" if written.startswith("epoch") else "svx"))
    length: int | str = 0
    if how != "state" and len(members) == 1 and (draw(st.booleans()) or how == "span"):
        length = draw(st.sampled_from([1, 1800, 86400, "long-for", "lasts"]))
    return Time(how, members, written, bool(length) and draw(st.booleans()), length, word=word)


EDGES = st.one_of(
    st.none(), st.tuples(st.sampled_from(NIGHTS[:3]), st.sampled_from(NEAR)).map(lambda each: each[0] + each[1])
)


@st.composite
def windows(draw) -> Window:
    start, end = draw(EDGES), draw(EDGES)
    return Window(end, None) if start is not None and end is not None and start >= end else Window(start, end)


INSTEAD = st.sampled_from(["", 'a"b', 0, None, [], {"k": ["é"]}, False])
PLACES = st.sampled_from([(), (), ("result",), ("@graph",), ("class", "first items"), ("a", "b", "None")])


@st.composite
def cases(draw) -> Case:
    table = draw(tables())
    time = draw(times())
    account = draw(st.sampled_from(["", "card", "for", "@card", "card number", "card.no"]))
    holder = draw(st.sampled_from(["", "", "held-in", "with"])) if account or time.members else ""
    judged = dict.fromkeys(time.members, time.word)
    if account:
        judged[account] = draw(st.sampled_from("sinv"))
    if isinstance(time.length, str):
        judged[time.length] = draw(st.sampled_from("sv"))
    if holder:
        table |= {"Held": {**judged, "else": "s"}}
        table["Row"] |= {holder: "Held", "way": "s"}
    else:
        table["Row"] |= {**judged, "way": "s"}
    own = [f"{'Held' if holder else 'Row'}/{name}" for name in judged]
    own += ["Row/way", *([f"Row/{holder}"] if holder else [])]
    whole_ = {kind for kind in table if kind[0] == "T" and draw(st.integers(0, 3)) == 0}
    every = [f"{kind}/{name}" for kind, found in table.items() for name, word in found.items()
             if kind not in whole_ and word.rstrip("*{}") not in ("-", "!")]  # fmt: skip
    free = [text for text in every if text not in own]
    fields: dict[str, list[str]] = {"own": own}
    for text in free:
        for name in draw(st.lists(st.sampled_from(["f.a", "f.b", "f.c"]), max_size=2, unique=True)) or ["f.d"]:
            fields.setdefault(name, []).append(draw(st.sampled_from(["", "", "", "&"])) + text)
    granted = frozenset({"own"} | {name for name in fields if name != "own" and draw(st.integers(0, 2))})
    ruled = draw(st.lists(st.sampled_from(free), unique=True, max_size=3))
    instead = {text: draw(INSTEAD) for text in ruled[:2]}
    ways = {text: draw(st.sampled_from(["keep", "keep", "drop_record"])) for text in ruled[2:]}
    only = draw(st.sampled_from([each[4:] for each in free if each.startswith("Row/")] + [""]))
    at = draw(PLACES)
    case = Case(
        table, {name: tuple(found) for name, found in fields.items()}, granted, at, draw(st.integers(0, 5)) == 0,
        account, holder, time, instead, ways, only, bool(at) and draw(st.booleans()),
        draw(st.sampled_from([None, None, None, 0, 1, 2])), draw(windows()),
    )  # fmt: skip
    return filled(
        case, draw(st.integers(0, 2**32)), draw(st.integers(0, 4)), draw(st.booleans()), draw(SELDOM), draw(SELDOM)
    )


SELDOM = st.integers(0, 4).map(lambda each: each == 0)


def filled(case: Case, seed: int, count: int, unknown: bool, broken: bool, missing: bool = False) -> Case:
    writer = Writer(case, seed, unknown, broken)
    body = writer.answer([writer.record() for _ in range(1 if case.one else count)], missing)
    return replace(case, body=body, marks=tuple(writer.marks))


def declared(case: Case) -> Any:
    """The format, and the type of data that goes with it."""
    table = {kind: " ".join(shapes.written(name, word) for name, word in found.items())
             for kind, found in case.table.items()}  # fmt: skip
    last = "Row" if case.one else "Row*"
    for depth, name in reversed(list(enumerate(case.at))):
        beside = {"total": "n", "note": "s"} if depth == 0 else {"total": "n"}
        kind = f"Around{depth}" if depth else "Answer"
        words = {name: last if depth == len(case.at) - 1 else f"Around{depth + 1}", **beside}
        table[kind] = " ".join(shapes.written(each, word) for each, word in words.items())
    lead = f"{case.holder}." if case.holder else ""
    row: dict[str, Any] = {"one": case.one, **({"at": ".".join(case.at)} if case.at else {})}
    row |= {"account": lead + case.account} if case.account else {}
    time, members = case.time, [lead + each for each in case.time.members]
    if time.how != "none":
        row |= {time.how: members[0] if time.how == "instant" else members, "ends": time.ends}
        row |= {"written": time.written, "months_from": time.months_from}
        row |= {"length": lead + time.length if isinstance(time.length, str) else time.length} if time.length else {}
    calls = [{"name": "rows", "dataset": "rows", "records": "Row", "path": "/rows"}]
    form = form_of(
        {"driver": "json", "calls": calls, "records": {"Row": row}, "shapes": table,
         "required": {**{text: {"instead": value} for text, value in case.instead.items()}, **case.ways},
         "only": {f"Row/{case.only}": {"member": "way", "is": ["in", "both"]}} if case.only else {},
         "around": {"Answer/note": "same"} if case.same else {}}
    )  # fmt: skip
    said = f"Row/{case.holder or members[0]}" if members else ""
    return form, dataset_of("rows", case.fields, ["own"], said)


def planned(case: Case, seen: Seen | None) -> Any:
    form, known = declared(case)
    faults = list(registry.form_faults(form, {"rows": known}))
    assert not faults, faults
    without = set(case.fields) - case.granted
    return plan_of(form, known, without, (MINE, SECOND), case.most, (OTHER.native,), seen)


def cut(case: Case, seen: Seen | None) -> Any:
    plan = planned(case, seen)
    return plan.cut(sent_of(plan, "/rows", window=case.window), "application/json", case.body, case.window)


def nobody() -> Seen:
    return Seen(lambda *_: None)


def agrees(case: Case) -> str:
    """Whether the gateway and the oracle say the same of a case. What it was: given, missing or refused."""
    oracle = Oracle(case)
    try:
        wanted, counts = oracle.answer()
    except (Refused, Missing) as no:
        with pytest.raises(UnknownShape if isinstance(no, Refused) else NotThere):
            cut(case, nobody())
        return type(no).__name__
    found = cut(case, nobody())
    assert loaded(found.body) == wanted
    assert found.counts == counts
    text = dumped(wanted)
    leaked = [mark for mark in case.marks if mark not in text and mark.encode() in found.body]
    assert not leaked, leaked
    assert not [each for each in (*REFS, OTHER.native, FOREIGN) if each.encode() in found.body]
    if oracle.strange:
        with pytest.raises(UnknownShape):
            cut(case, None)
    else:
        assert cut(case, None).body == found.body
    return "given"


@settings(max_examples=many(1200), deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_what_leaves_is_what_the_oracle_says(case):
    agrees(case)


# ---- one declaration that has everything

RICH = {
    "Row": {
        "at": "s", "card": "v", "way": "s", "id": "p", "class": "n", "@context": "s", "first-name": "x", "a.b": "v",
        "Date of birth": "d", "tags": "s*", "grid": "n**", "more": "j", "places": "Place*", "labels": "Label{}",
        "owner": "Owner", "links": "p{}", "chains": "p**", "secret": "-", "count": "i", "yes": "b*{}",
    },
    "Place": {"latitude": "n", "from": "s", "ids": "p*", "no": "-*"},
    "Label": {"None": "x", "n": "i"},
    "Owner": {"first-name": "x", "born": "s", "home": "Place", "whole": "Whole"},
    "Whole": {"street": "s", "never": "-{}", "door": "n*"},
}  # fmt: skip
OWN = ("Row/at", "Row/card", "Row/way")
FREE = [f"{kind}/{name}" for kind, found in RICH.items() for name, word in found.items()
        if word[0] != "-" and kind != "Whole" and f"{kind}/{name}" not in OWN]  # fmt: skip
FIELDS = {
    "own": OWN,
    **{f"f{number}": (text,) for number, text in enumerate(FREE) if text not in ("Row/more", "Label/n")},
    "notes.one": ("&Row/more", "Label/n"),
    "notes.two": ("&Row/more",),
}
ASKED = [name for name in FIELDS if name != "own"]
TOLD = Case(
    RICH, FIELDS, frozenset(FIELDS), ("result", "items"), False, "card", "", Time("instant", ("at",)),
    {"Row/class": 0, "Place/from": "withheld"}, {}, "a.b", True,
)  # fmt: skip


def rich(seed: int = 1, count: int = 5) -> Case:
    case = filled(TOLD, seed, count, False, False)
    return replace(case, body=dumped(loaded(case.body)).encode())  # as it is written again with something planted


def without(case: Case, *fields: str) -> Case:
    return replace(case, granted=case.granted - set(fields))


@pytest.mark.parametrize("seed", range(3))
def test_each_field_removed_alone_takes_its_own_members_and_nothing_else(seed):
    case = rich(seed, 24)
    whole_body = cut(case, None).body
    assert len(whole_body) > 1000
    for name in ASKED:
        assert agrees(without(case, name)) == "given"
        assert cut(without(case, name), None).body != whole_body, name


def test_any_two_fields_removed_together():
    case = rich(7, 6)
    for pair in list(itertools.combinations(ASKED, 2))[:: 1 if TORTURE else 4]:
        assert agrees(without(case, *pair)) == "given"


def test_nothing_granted_but_what_records_are_judged_by():
    case = without(rich(3), *ASKED)
    assert agrees(case) == "given"
    kept = loaded(cut(case, None).body)["result"]["items"]
    # of what is required the neutral value stands there
    assert kept and all(each.keys() <= {"at", "card", "way", "class"} and each["class"] == Number("0") for each in kept)


def timed(written: str, texts: list[Any], window: Window, how: str = "instant") -> list[str]:
    """The names of the records that are given of those with these times. The oracle has to agree."""
    members = ("at",) if how == "instant" else ("at", "until")
    table = {"Row": {"id": "s", **dict.fromkeys(members, "v"), "way": "s"}}
    fields = {"own": ("Row/id", "Row/way", *(f"Row/{name}" for name in members))}
    rows = [{"id": str(number), **dict(zip(members, [text] if how == "instant" else text, strict=True))}
            for number, text in enumerate(texts)]  # fmt: skip
    time = Time(how, members, written, word="v")
    case = Case(table, fields, frozenset(fields), time=time, window=window, body=dumped(rows).encode())
    assert agrees(case) == "given"
    return [each["id"] for each in loaded(cut(case, None).body)]


SECOND_OF = timedelta(seconds=1)
LOCAL_DAYS = {
    "2024-02-29": (NIGHTS[0], NIGHTS[1]),
    "2025-03-30": (NIGHTS[2], NIGHTS[4]),  # 23 hours
    "2025-10-26": (NIGHTS[5], NIGHTS[8]),  # 25 hours
}
WAYS = {
    "iso": lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "iso ": lambda at: at.astimezone(ZoneInfo(ZONE)).isoformat(),
    "iso local": lambda at: f"{at.astimezone(ZoneInfo(ZONE)):%Y-%m-%d %H:%M:%S}",
    "epoch-s": lambda at: Number(str(int(at.timestamp()))),
    "epoch-ms": lambda at: str(int(at.timestamp()) * 1000),
    "yyyymmddHHMMSS": lambda at: f"{at.astimezone(ZoneInfo(ZONE)):%Y%m%d%H%M%S}",
    "dd.mm.yyyy HH:MM:SS": lambda at: f"{at.astimezone(ZoneInfo(ZONE)):%d.%m.%Y %H:%M:%S}",
}


@pytest.mark.parametrize("day", LOCAL_DAYS)
@pytest.mark.parametrize("way", WAYS)
def test_at_the_edges_of_a_period_a_second_decides(day, way):
    start, end = LOCAL_DAYS[day]
    moments = [start - SECOND_OF, start, start + SECOND_OF, end - SECOND_OF, end, end + SECOND_OF]
    texts = [WAYS[way](each) for each in moments]
    written = way if way in WRITTEN else way.split()[0]
    assert timed(written, texts, Window(start, end)) == ["1", "2", "3"]
    assert timed(written, texts, Window(start, None)) == ["1", "2", "3", "4", "5"]
    assert timed(written, texts, Window(None, end)) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("day", LOCAL_DAYS)
def test_a_day_is_given_only_when_all_of_it_is_agreed_to(day):
    start, end = LOCAL_DAYS[day]
    around = [datetime.fromisoformat(day) + timedelta(days=each) for each in (-1, 0, 1)]
    texts = [f"{each:%Y-%m-%d}" for each in around]
    assert timed("iso", texts, Window(start, end)) == ["1"]
    assert timed("iso", texts, Window(start + SECOND_OF, end)) == []
    assert timed("iso", texts, Window(start, end - SECOND_OF)) == []
    assert timed("yyyymmdd", [each.replace("-", "") for each in texts], Window(start - SECOND_OF, end)) == ["1"]


@pytest.mark.parametrize("day", LOCAL_DAYS)
def test_a_span_that_reaches_over_an_edge_by_a_second_is_withheld(day):
    start, end = LOCAL_DAYS[day]
    spans = [(start, end), (start - SECOND_OF, end), (start, end + SECOND_OF), (end, end), (start, start)]
    texts = [[WAYS["iso"](each) for each in span] for span in spans]
    assert timed("iso", texts, Window(start, end), "span") == ["0", "4"]


@pytest.mark.parametrize("day", LOCAL_DAYS)
def test_a_state_is_given_when_it_overlaps_the_period_by_a_second(day):
    start, end = LOCAL_DAYS[day]
    states = [(None, start), (None, start + SECOND_OF), (end, None), (end - SECOND_OF, None), (None, None),
              (start - SECOND_OF, start), (start - SECOND_OF, end + SECOND_OF), (end, end + SECOND_OF)]  # fmt: skip
    texts = [[at and WAYS["iso"](at) for at in state] for state in states]
    assert timed("iso", texts, Window(start, end), "state") == ["1", "3", "4", "6"]


def test_the_hour_that_a_night_has_twice_is_told_apart_by_its_offset():
    texts = ["2025-10-26T02:30:00+02:00", "2025-10-26T02:30:00+01:00"]
    twice = datetime(2025, 10, 26, 1, tzinfo=UTC)  # clocks have just gone back
    assert timed("iso", texts, Window(twice, None)) == ["1"]
    assert timed("iso", texts, Window(None, twice)) == ["0"]


# ---- what is planted


def items(case: Case) -> tuple[Any, list[Any]]:
    found = loaded(case.body)
    return found, found["result"]["items"]


@pytest.mark.parametrize("native", [FOREIGN, OTHER.native, "", MINE.native + "0", Number(FOREIGN)])
def test_a_record_of_somebody_else_leaves_from_no_place(native):
    case = rich(4, 4)
    for place in range(5):
        found, records = items(case)
        writer = Writer(case, 99, False, False)
        writer.marks += case.marks
        planted = {**writer.record(), "at": "2024-02-29T12:00:00Z", "card": native}
        records.insert(place, planted)
        body = dumped(found).encode()
        told = cut(replace(case, body=body), None)
        assert agrees(replace(case, body=body, marks=tuple(writer.marks))) == "given"
        before = cut(case, None)
        assert told.body == before.body and told.counts.records_withheld == before.counts.records_withheld + 1


def test_a_record_of_nobody_refuses_the_answer():
    found, records = items(rich(4, 4))
    records.append({"at": "2024-02-29T12:00:00Z", "id": "q99999q"})
    assert agrees(replace(rich(4, 4), body=dumped(found).encode())) == "Refused"


def objects(kind: str, value: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a declared type inside a value, with the place that is told of it."""
    if isinstance(value, list) and kind.endswith("*"):
        for each in value:
            yield from objects(kind[:-1], each, place)
    elif isinstance(value, dict) and kind.endswith("{}"):
        for each in value.values():
            yield from objects(kind[:-2], each, place)
    elif isinstance(value, dict) and kind in RICH:
        yield place, value
        for name, word in RICH[kind].items():
            yield from objects(word, value.get(name), f"{place}.{name}")


def test_a_member_that_nobody_declared_is_withheld_and_told_or_refused():
    case = rich(11, 24)
    case = replace(case, body=case.body.replace(b"e400", b"e40"))  # beyond all floats nothing is looked into
    count = len(list(objects("Row*", items(case)[1], "result.items")))
    before, places = cut(case, None), set()
    for number in range(count):
        found, records = items(case)
        place, planted = list(objects("Row*", records, "result.items"))[number]
        planted["unheard"] = ["q99999q", {"q99998q": Number("1e40")}]
        held = replace(case, body=dumped(found).encode(), marks=(*case.marks, "q99999q", "q99998q"))
        heard: list[str] = []
        assert cut(held, Seen(lambda told, *_, heard=heard: heard.extend(told))) == before
        assert heard == [f"{place}.unheard"]
        assert agrees(held) == "given"  # and refused where nobody listens
        places.add(place)
    assert places == {f"result.items{each}" for each in ("", ".places", ".labels", ".owner", ".owner.home",
                                                        ".owner.whole")}  # fmt: skip


def test_an_unknown_member_beside_a_number_beyond_all_floats_is_withheld_and_told():
    case = replace(small("n", "1e400"), body=b'[{"way":"in","a":1e400,"unheard":"q00000q"}]')
    heard: list[str] = []
    assert cut(case, Seen(lambda told, *_: heard.extend(told))).body == b'[{"way":"in","a":1e400}]'
    assert heard == ["unheard"] and agrees(case) == "given"


def test_a_key_that_stands_twice_does_not_bring_out_what_is_withheld():
    body = b'[{"id":"q1","secret":"q2","id":"q3","secret":"q4","way":"q5","way":"in"}]'
    table = {"Row": {"id": "s", "secret": "s", "way": "s"}}
    fields = {"own": ("Row/way", "Row/id"), "f": ("Row/secret",)}
    case = Case(table, fields, frozenset({"own"}), body=body)
    assert cut(case, None).body == b'[{"id":"q3","way":"in"}]'
    assert cut(replace(case, granted=frozenset(fields)), None).body == b'[{"id":"q3","secret":"q4","way":"in"}]'


# ---- the smallest cases of what the oracle has found


def small(words: str, value: str, granted: bool = True, whole_type: str = "") -> Case:
    table = {"Row": {"way": "s", "a": words}}
    table |= {"Whole": {"street": "s", "never": whole_type}} if whole_type else {}
    fields = {"own": ("Row/way",), "f": ("Row/a",)}
    body = f'[{{"way":"in","a":{value}}}]'.encode()
    return Case(table, fields, frozenset(fields) if granted else frozenset({"own"}), body=body, marks=("q00000q",))


@pytest.mark.parametrize(
    ("word", "value"),
    [("p{}", '{"k":"q00000q"}'), ("p**", '[["q00000q"],null]'), ("p*{}", '{"k":["q00000q"]}'), ("p*", '[null,"q1"]'),
     ("p", "null"), ("p{}*", "[null,{}]")],
)  # fmt: skip
def test_identifiers_are_the_apps_own_wherever_they_stand(word, value):
    case = small(word, value)
    assert agrees(case) == "given" and b"q00000q" not in cut(case, None).body
    assert agrees(replace(case, granted=frozenset({"own"}))) == "given"


@pytest.mark.parametrize("word", ["-", "-*", "-{}", "-**"])
@pytest.mark.parametrize("value", ["null", "[1]", '{"k":"q00000q"}', '"q00000q"', "[9000299e400]", "-1e400"])
def test_what_is_never_given_is_withheld_whatever_it_is(word, value):
    case = small("Whole", f'{{"street":"s","never":{value}}}', whole_type=word)
    assert agrees(case) == "given" and cut(case, None).counts.fields_withheld == 1


@pytest.mark.parametrize("word", ["!", "!*", "!{}"])
@pytest.mark.parametrize("value", ["null", "[]", "{}", "[1]", '"x"'])
def test_what_must_not_be_there_refuses_the_answer_whatever_it_is(word, value):
    case = small("Whole", f'{{"street":"s","never":{value}}}', whole_type=word)
    assert agrees(case) == "Refused"
    assert agrees(replace(case, granted=frozenset({"own"}))) == "given"  # its neighbours do not leave either
    table = {"Row": {"way": "s", "never": word}}
    body = f'[{{"way":"in","never":{value}}}]'.encode()
    assert agrees(replace(case, table=table, fields={"own": ("Row/way",)}, body=body)) == "Refused"


def test_one_record_that_is_null_is_not_there():
    table = {"Row": {"way": "s"}}
    case = Case(table, {"own": ("Row/way",)}, frozenset({"own"}), ("result",), True, body=b'{"result":null}')
    assert agrees(case) == "Missing"
    assert agrees(replace(case, body=b'{"result":{"way":"in"}}')) == "given"
    assert agrees(replace(case, one=False, body=b'{"result":null}')) == "given"
    assert agrees(replace(case, one=False, body=b'{"result":[null]}')) == "Refused"


def test_null_beside_the_records_stays():
    case = Case({"Row": {"way": "s"}}, {"own": ("Row/way",)}, frozenset({"own"}), ("result",), same=True)
    assert agrees(replace(case, body=b'{"result":[],"note":null}')) == "given"


def faults_of(words: str, only: Mapping[str, Any] | None = None, inner: str = "x:s y:s", find: str = "") -> list[str]:
    form = form_of(
        {"driver": "json", "calls": [{"name": "rows", "dataset": "rows", "records": "Row", "path": "/rows"}],
         "records": {"Row": {}}, "shapes": {"Row": words, "Inner": inner}, "only": only or {}}
    )  # fmt: skip
    known = dataset_of("rows", {"own": [find or "Row/a", "Row/b"]}, ["own"])
    return [key for _, key, _ in registry.form_faults(form, {"rows": known})]


def test_a_name_that_no_reader_of_json_has_is_told_when_the_file_is_read():
    assert faults_of("a:s b:s") == []
    for name in ('say \\"x\\"', "back\\\\slash", "two\nlines"):
        assert "shapes.Row" in faults_of(f'a:s b:s "{name}":-'), name


def test_only_is_for_records_themselves_and_by_texts():
    assert faults_of("a:s b:s", {"Row/a": {"member": "b", "is": ["in"]}}) == []
    for word in ("i", "v", "n", "j", "s*", "Inner"):
        assert faults_of(f"a:s b:{word}", {"Row/a": {"member": "b", "is": ["1"]}}) == ["only.Row/a.member"], word
    assert faults_of("a:s b:Inner", {"Inner/x": {"member": "y", "is": ["in"]}}) == ["only.Inner/x"]


WRONG = [
    ("s", "1"), ("x", "{}"), ("d", "1.10"), ("b", '"true"'), ("i", "1.5"), ("i", '"1"'), ("n", '"9"'), ("n", "{}"),
    ("n*", '[1,"2"]'), ("n{}", '{"k":[]}'), ("v", "{}"), ("v", "[]"), ("v*", "[[1]]"), ("p", "1.5"), ("p", "true"),
    ("s*", '"x"'), ("s**", '["x"]'), ("s{}", "[]"), ("Whole", "[]"), ("Whole*", "{}"), ("s", '"\\ud800"'),
]  # fmt: skip


@pytest.mark.parametrize(("word", "value"), WRONG)
def test_another_type_where_a_known_member_stands_refuses_the_answer(word, value):
    case = small(word, value, whole_type="s")
    for seen in (None, nobody()):
        with pytest.raises(UnknownShape):
            cut(case, seen)

"""Tables at random against an oracle of its own, which reads with the csv module and judges row by row; and against
JSON: the same records, agreed to in the same terms, leave alike in both."""

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from csv_documents import TYPE, ZONE, cut, dataset_of, format_of, plan_of, read, sent, streamed
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.catalogue import shapes
from gateway.formats.drift import Seen
from gateway.formats.model import Account, UnknownShape
from gateway.ground.calendar.instants import Window
from tests.torture import many

MINE = (Account("card-481516", "ref_AAAAAAAAAAAAAAAAAAAA"), Account("card-234215", "ref_BBBBBBBBBBBBBBBBBBBB"))
NATIVES = [account.native for account in MINE]
OTHER, FOREIGN = "card-162342", "card-777777"
NAMES = [
    "amount",
    "words",
    "Merchant/Description",
    "Date of birth",
    'the "name"',
    "Prix TTC",
    "été",
    "x;y",
    "x,y",
    "q|r",
]
TEXTS = st.one_of(
    st.sampled_from(
        ["", "", "=1+1", "@SUM(A1)", "+33", "-4.50", "a,b", "c;d", "e\tf", "g|h", 'say "x"', '"', '""', "two\nlines",
         "two\r\nlines", "\r", " blanks ", "été €", "日本", "\u2028", "\x0b", "\x1c", "\x85", "'", "\\", "\ufeff"]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
)  # fmt: skip
EDGE = datetime(2025, 3, 30, 1, tzinfo=UTC)  # clocks change in Paris
START, END = EDGE - timedelta(days=1), EDGE + timedelta(days=1)
WINDOWS = st.sampled_from([Window(None, None), Window(START, None), Window(None, END), Window(START, END)])
MOMENTS = st.one_of(
    st.sampled_from([START, END, EDGE]).flatmap(
        lambda edge: st.sampled_from([-1, 0, 1]).map(lambda seconds: edge + timedelta(seconds=seconds))
    ),
    st.datetimes(datetime(2025, 3, 20), datetime(2025, 4, 10)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC)),
)


@dataclass(frozen=True)
class Case:
    """A declaration, a consent, and a table as an organisation may write it."""

    words: dict[str, str]  # declared column → its word
    fields: dict[str, tuple[str, ...]]
    without: frozenset[str]
    required: dict[str, object]
    most: int | None
    window: Window
    separator: str
    columns: tuple[str, ...]  # of the table, in order
    rows: tuple[dict[str, str], ...]
    body: bytes


@st.composite
def cases(draw) -> Case:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=6))
    words = {name: draw(st.sampled_from(["s", "x", "v", "d", "-"])) for name in names}
    free = [name for name in names if words[name] != "-"]
    split = draw(st.integers(0, len(free)))
    groups = {"f.a": tuple(free[:split]), "f.b": tuple(free[split:])}
    fields = {"f.when": ("card", "at"), **{key: found for key, found in groups.items() if found}}
    without = frozenset(draw(st.sets(st.sampled_from([key for key in fields if key != "f.when"] or ["f.none"]))))
    required: dict[str, object] = {}
    for name in draw(st.sets(st.sampled_from(free or ["none"]), max_size=2)) if free else ():
        required[f"Row/{name}"] = draw(st.sampled_from(["drop_record", "keep", {"instead": ""}, {"instead": 'a"b'}]))
    separator = draw(st.sampled_from([",", ";", "\t", "|"]))
    there = draw(st.sets(st.sampled_from(names))) | {"card", "at"}
    extra = draw(st.sampled_from([(), ("unknown",)]))
    columns = tuple(draw(st.permutations([*sorted(there), *extra])))
    rows = tuple(draw(st.lists(a_row([*names, *extra]), max_size=8)))
    return Case(
        {"card": "s", "at": "s", **words}, fields, without, required, draw(st.sampled_from([None, None, 0, 2])),
        draw(WINDOWS), separator, columns, rows, draw(written(columns, rows, separator)),
    )  # fmt: skip


@st.composite
def a_row(draw, names) -> dict[str, str]:
    moment = draw(MOMENTS)
    zoned = moment.astimezone(ZoneInfo(ZONE)).isoformat()
    at = draw(st.sampled_from([moment.isoformat(), moment.isoformat()[:-6] + "Z", zoned, zoned[:10], ""]))
    native = draw(st.sampled_from([*NATIVES, *NATIVES, OTHER, FOREIGN]))
    return {"card": native, "at": at, **{name: draw(TEXTS) for name in names}}


@st.composite
def written(draw, columns, rows, separator) -> bytes:
    out = io.StringIO(newline="")
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    writer = csv.writer(out, delimiter=separator, quoting=quoting, lineterminator=end)
    writer.writerow(columns)
    for each in rows:
        if draw(st.integers(0, 9)) == 0:
            out.write(end)
        # what a reader takes for a line end must be quoted, whichever one the writer has
        cells = [each[name] for name in columns]
        special = any(mark in cell for cell in cells for mark in "\r\n")
        csv.writer(
            out, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL if special else quoting
        ).writerow(cells)
    text = out.getvalue()
    return (draw(st.sampled_from(["", "\ufeff", " "])) + text).encode() if text[0] != '"' else text.encode()


# ---- the oracle


def spans(text: str) -> tuple[datetime, datetime]:
    if len(text) == 10:
        local = datetime.fromisoformat(text)
        after = local + timedelta(days=1)
        return tuple(each.replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC) for each in (local, after))  # type: ignore
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return moment, moment


def agreed(text: str, window: Window) -> bool:
    if not text:
        return False
    start, end = spans(text)
    early = window.start is not None and start < window.start
    return not early and (window.end is None or (start < window.end and end <= window.end))


def expected(case: Case) -> tuple[list[str], list[dict[str, str]]]:
    given = {name for key, names in case.fields.items() if key not in case.without for name in names}
    declared = {name for name, word in case.words.items() if word != "-"}
    lacking = {name for name in declared - given}
    instead = {
        member.partition("/")[2]: str(way["instead"]) for member, way in case.required.items() if isinstance(way, dict)
    }
    dropped = any(way == "drop_record" and member.partition("/")[2] in lacking for member, way in case.required.items())
    head = [name for name in case.columns if name in given or (name in lacking and name in instead)]
    rows = [each for each in case.rows if each["card"] in NATIVES and agreed(each["at"], case.window)]
    most = 0 if dropped else len(rows) if case.most is None else case.most
    refs = {account.native: account.ref for account in MINE}
    shown = [
        {
            name: refs[each["card"]] if name == "card" else each[name] if name in given else instead[name]
            for name in head
        }
        for each in rows[:most]
    ]
    return head, shown


def plan_for(case: Case, driver: str = "csv", seen: Seen | None = None):
    shape = " ".join(shapes.written(name, word) for name, word in case.words.items())
    more = {"csv": {"separator": case.separator}} if driver == "csv" else {}
    form = format_of(shape, driver, required=case.required, **more)
    known = dataset_of(case.fields, ("f.when",))
    return plan_of(form, case.without, MINE, case.most, seen, known, (OTHER,))


def nobody() -> Seen:
    return Seen(lambda *_: None)


@settings(max_examples=many(200), deadline=None)
@given(cases(), st.integers(1, 40))
def test_what_leaves_is_what_the_oracle_says_whole_and_as_a_stream(case, size):
    of = plan_for(case, seen=nobody())
    found = cut(of, case.body, case.window)
    head, rows = expected(case)
    assert next(csv.reader(io.StringIO(found.body.decode(), newline=""), delimiter=case.separator)) == head
    assert read(found.body, case.separator) == rows
    assert found.counts.records == len(rows) and found.counts.records_withheld == len(case.rows) - len(rows)
    assert streamed(of, case.body, case.window, size) == found.body


@settings(max_examples=many(200), deadline=None)
@given(cases())
def test_strict_refuses_a_column_that_is_not_declared(case):
    of = plan_for(case)
    if "unknown" in case.columns:
        with pytest.raises(UnknownShape):
            cut(of, case.body, case.window)
    else:
        assert read(cut(of, case.body, case.window).body, case.separator) == expected(case)[1]


@settings(max_examples=many(200), deadline=None)
@given(cases(), st.data())
def test_nothing_withheld_stands_anywhere_in_the_bytes(case, data):
    """Every cell that may not leave has a word of its own, found nowhere else."""
    given = {name for key, names in case.fields.items() if key not in case.without for name in names}
    rows = []
    for index, each in enumerate(case.rows):
        rows.append(
            {name: each[name] if name in ("card", "at") else f"canary{index}q{number}z" + each[name]
             for number, name in enumerate(each)}
        )  # fmt: skip
    body = data.draw(written(case.columns, rows, case.separator))
    found = cut(plan_for(case, seen=nobody()), body, case.window)
    kept = 0
    for index, each in enumerate(rows):
        leaves = each["card"] in NATIVES and agreed(each["at"], case.window)
        leaves = leaves and kept < (found.counts.records)
        kept += leaves
        for number, name in enumerate(each):
            if name not in ("card", "at"):
                there = f"canary{index}q{number}z".encode() in found.body
                assert there == (leaves and name in given and name in case.columns)
    assert not [native for native in (*NATIVES, OTHER, FOREIGN) if native.encode() in found.body]


@settings(max_examples=many(150), deadline=None)
@given(cases())
def test_records_leave_alike_from_csv_and_from_json(case):
    """The same records as JSON, with an empty cell as a member that is not there."""
    assume('"' not in "".join(case.words))  # no reader of JSON here has such names
    head = [name for name in case.columns if name in case.words]
    strings = {name: "s" if word in ("d", "n") else word for name, word in case.words.items()}
    case = Case(**{**case.__dict__, "words": strings, "required": {}})
    body = json.dumps([{name: each[name] for name in head if each[name]} for each in case.rows]).encode()
    of = plan_for(case, "json")
    told = of.cut(sent(of, window=case.window), "application/json", body, case.window)
    found = cut(plan_for(case, seen=nobody()), case.body, case.window)
    rows = [{name: text for name, text in each.items() if text} for each in read(found.body, case.separator)]
    assert rows == json.loads(told.body) and found.counts == told.counts


# ---- every form of a record's own time, in CSV as in JSON

DAYS = st.dates(datetime(2023, 12, 30).date(), datetime(2025, 12, 31).date())
CLOCK = st.datetimes(datetime(2024, 2, 27), datetime(2024, 3, 2)).map(lambda at: at.replace(microsecond=0))
WRITTEN = {
    "iso": st.one_of(
        CLOCK.map(lambda at: at.isoformat()), CLOCK.map(lambda at: f"{at.isoformat()}+02:00"),
        DAYS.map(str), DAYS.map(lambda day: f"{day:%Y-%m}"), DAYS.map(lambda day: f"{day:%Y}"),
    ),
    "dd/mm/yyyy": DAYS.map(lambda day: f"{day:%d/%m/%Y}"),
    "mm/dd/yyyy HH:MM": CLOCK.map(lambda at: f"{at:%m/%d/%Y %H:%M}"),
    "dd.mm.yyyy HH:MM:SS": CLOCK.map(lambda at: f"{at:%d.%m.%Y %H:%M:%S}"),
    "yyyymmdd": DAYS.map(lambda day: f"{day:%Y%m%d}"),
    "ddmmyyyy": DAYS.map(lambda day: f"{day:%d%m%Y}"),
    "yyyymmddHHMMSS": CLOCK.map(lambda at: f"{at:%Y%m%d%H%M%S}"),
    "yyyymm": DAYS.map(lambda day: f"{day:%Y%m}"),
    "mm/yyyy": DAYS.map(lambda day: f"{day:%m/%Y}"),
    "epoch-s": CLOCK.map(lambda at: str(int(at.replace(tzinfo=UTC).timestamp()))),
    "epoch-ms": CLOCK.map(lambda at: str(int(at.replace(tzinfo=UTC).timestamp()) * 1000)),
}  # fmt: skip
LENGTHS = st.sampled_from(["1800", "PT30M", "P1D", "PT1H30M", "0", "", "soon"])
BROKEN = st.sampled_from(["yesterday", "31/02/2024", "2024-02-30", "99999999999999999999", "1e9", "-1"])
LEAP_DAY = [datetime(2024, 2, 28, 23, tzinfo=UTC), datetime(2024, 2, 29, 23, tzinfo=UTC)]
EDGES = st.one_of(st.none(), st.sampled_from(LEAP_DAY), CLOCK.map(lambda at: at.replace(tzinfo=UTC)))


@st.composite
def timed(draw) -> tuple[dict[str, object], list[dict[str, str]], Window]:
    how = draw(st.sampled_from(["instant", "span", "span", "state", "parts"]))
    records: dict[str, object] = {"account": "card"}
    word = draw(st.sampled_from(sorted(WRITTEN)))
    if how == "parts":
        records |= {"parts": ["y", "m", "d"][: draw(st.integers(1, 3))], "months_from": draw(st.sampled_from([0, 1]))}
        columns = {
            "y": ["2023", "2024", "0"],
            "m": ["0", "1", "2", "11", "12", "x"],
            "d": ["1", "28", "29", "30", "32"],
        }
        texts = {name: st.sampled_from([*found, ""]) for name, found in columns.items()}
    else:
        texts = {name: st.one_of(WRITTEN[word], WRITTEN[word], WRITTEN[word], st.just("")) for name in ("from", "to")}
        if draw(st.integers(0, 4)) == 0:
            texts["from"] |= BROKEN
        count = 1 if how == "instant" else draw(st.integers(1, 2))
        records |= {"written": word, how: "from" if how == "instant" else ["from", "to"][:count]}
    span = len(records.get("span", ""))  # type: ignore[arg-type]
    if how != "state" and span != 2 and (draw(st.booleans()) or span == 1):
        records |= {"length": draw(st.sampled_from([1, 1800, 86400, "long"])), "ends": draw(st.booleans())}
        texts["long"] = LENGTHS
    rows = draw(st.lists(st.fixed_dictionaries({**texts, "card": st.sampled_from([NATIVES[0], FOREIGN])}), max_size=6))
    start, end = draw(EDGES), draw(EDGES)
    if start is not None and end is not None and start >= end:
        start, end = end, None
    return records, rows, Window(start, end)


@settings(max_examples=many(250), deadline=None)
@given(timed(), st.booleans())
def test_the_period_means_the_same_in_csv_and_in_json(case, quoted):
    records, rows, window = case
    names = ("card", "from", "to", "long", "y", "m", "d")
    shape = " ".join(f"{name}:s" for name in names)
    known = dataset_of({"row.all": names}, ("row.all",))
    plans = {driver: plan_of(format_of(shape, driver, records), (), MINE, known=known) for driver in ("csv", "json")}
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, names, restval="", quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL)
    writer.writeheader()
    writer.writerows(rows)
    body = json.dumps([{name: text for name, text in each.items() if text} for each in rows]).encode()
    found = {}
    for driver, type_, text in (("csv", TYPE, out.getvalue().encode()), ("json", "application/json", body)):
        of = plans[driver]
        try:
            told = of.cut(sent(of, window=window), type_, text, window)
        except UnknownShape as fault:
            found[driver] = fault.where.partition("]")[0]
        else:
            shown = read(told.body) if driver == "csv" else json.loads(told.body)
            found[driver] = [{name: text for name, text in each.items() if text} for each in shown], told.counts
    if isinstance(found["json"], str) or isinstance(found["csv"], str):
        assert isinstance(found["json"], str) and isinstance(found["csv"], str)
    else:
        assert found["csv"] == found["json"]

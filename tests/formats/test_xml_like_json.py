"""The same records as JSON and as XML: the same are given, the same members are withheld, the same is refused."""

import json
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xml_documents import FOREIGN, MINE, OTHER, dataset_of, form_of, plan_of, sent_of

from gateway.formats.model import UnknownShape
from gateway.ground.calendar.instants import Window
from tests.torture import many

SHAPE = "a:s b:s c:s line:s x:s w:s y:s inner:Inner many:s* never:- length:s"
FORMS = {
    "instant": {"instant": "a"},
    "none": {},
    "dates": {"instant": "a", "written": "dd/mm/yyyy"},
    "hours": {"instant": "a", "written": "yyyymmddHHMMSS"},
    "epoch-s": {"instant": "a", "written": "epoch-s"},
    "epoch-ms": {"instant": "a", "written": "epoch-ms"},
    "span": {"span": ["a", "b"]},
    "span-lasting": {"span": ["a"], "length": 1800},
    "lasting": {"instant": "a", "length": "length"},
    "ending": {"instant": "a", "ends": True, "length": 3600},
    "state": {"state": ["a", "b"]},
    "open-state": {"state": ["a"]},
    "parts": {"parts": ["a", "b", "c"]},
    "months": {"parts": ["a", "b"], "months_from": 0},
    "inside": {"instant": "inner.at"},
}
EXTRA = {
    "required": {"Row/x": {"instead": "withheld"}},
    "only": {"Row/many": {"member": "c", "is": ["15", "12"]}, "Row/y": {"member": "w", "is": ["one"]}},
}


def world(how: dict, extra: dict):
    made = []
    for driver in ("json", "xml"):
        xml = driver == "xml"
        shapes = {"Row": SHAPE, "Inner": "at:s y:s z:-"}
        shapes |= {"Answer": "rows:Rows", "Rows": "row:Row*"}
        form = form_of(
            {
                "driver": driver,
                "calls": [{"name": "rows", "dataset": "rows", "records": "Row", "path": "/rows"}],
                "records": {"Row": {"at": "rows.row", "account": "line", **how}},
                "shapes": shapes,
                **extra,
                **({"namespaces": {}} if xml else {}),
            }
        )
        first = (how.get("instant") or (how.get("state") or how.get("span") or how.get("parts") or [""])[0]).split(".")[
            0
        ]
        dataset = dataset_of("rows", FIELDS, ["own"], f"Row/{first}" if first else "")
        made.append((form, dataset))
    return made


FIELDS = {
    "own": ["Row/a", "Row/b", "Row/c", "Row/line", "Row/inner", "Inner/at", "Row/length"],
    "x": ["Row/x"],
    "y": ["Inner/y", "Row/y"],
    "w": ["Row/w"],
    "many": ["Row/many"],
}
ZONED = Window(datetime(2024, 2, 28, 23, tzinfo=UTC), datetime(2024, 10, 27, 1, 30, tzinfo=UTC))
EDGES = [
    "2024-02-28T23:00:00Z", "2024-02-28T22:59:59Z", "2024-02-29", "2024-02-29T00:00:00", "2024-02-29T23:30:00",
    "2024-02-30", "2023-02-29", "2024-03-31T02:30:00", "2024-03-31", "2024-10-27T02:30:00", "2024-10-27T01:30:00Z",
    "2024-10-27T01:29:59Z", "2024-10-27", "2024", "2024-03", "2024-06-15 10:00", "1719000000", "1719000000000",
    "1719000000.5", "29/02/2024", "28/02/2024", "31/12/2023", "20240615103000", "20240229000000", "", "  ", "today",
    "2024-06-15T10:00:00+02:00", "PT30M", "1800", "15", "2", "10", "29", "12", "0", "9999999999999999999",
]  # fmt: skip
VALUES = st.sampled_from(EDGES)
ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "a": VALUES,
            "b": VALUES,
            "c": VALUES,
            "line": st.sampled_from([MINE.native, MINE.native, OTHER.native, FOREIGN]),
            "x": st.sampled_from(["plain", "a & b <c>", "33612345678 and more", "é"]),
            "w": st.sampled_from(["one", "two"]),
            "y": st.just("side"),
            "inner": st.fixed_dictionaries({}, optional={"at": VALUES, "y": st.just("y"), "z": st.just("z")}),
            "many": st.lists(st.sampled_from(["1", "2"]), max_size=3),
            "never": st.just("secret"),
            "length": st.sampled_from(["1800", "PT30M", "P1D", "long", ""]),
        },
    ),
    max_size=4,
)


def as_json(rows) -> bytes:
    """An element without text is what null is in JSON; a list without members is no element at all."""

    def plain(value):
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items() if each != []}
        return None if isinstance(value, str) and not value.strip() else value

    return json.dumps({"rows": {"row": [plain(row) for row in rows]}}).encode()


def as_xml(rows) -> bytes:
    def element(name, value) -> str:
        if isinstance(value, list):
            return "".join(element(name, each) for each in value)
        inside = "".join(element(*each) for each in value.items()) if isinstance(value, dict) else escape(value)
        return f"<{name}>{inside}</{name}>"

    order = [word.partition(":")[0] for word in SHAPE.split()]
    ordered = [{name: row[name] for name in order if name in row} for row in rows]
    return f"<rows>{''.join(element('row', row) for row in ordered)}</rows>".encode()


def outcome(form, dataset, body, media_type, window, without, most):
    plan = plan_of(form, dataset, without, (MINE, OTHER), most)
    try:
        return plan.cut(sent_of(plan, "/rows", window=window), media_type, body, window)
    except UnknownShape as refused:
        return refused.where


def given_json(body: bytes):
    return [simple(row) for row in json.loads(body)["rows"]["row"]]


def simple(value):
    if isinstance(value, dict):
        return {name: simple(each) for name, each in value.items()}
    return "" if value is None else value


def given_xml(body: bytes):
    def value(element, many=()):
        found: dict = {}
        for child in element:
            if child.tag in many:
                found.setdefault(child.tag, []).append(child.text or "")
            else:
                found[child.tag] = value(child) if len(child) or child.tag == "inner" else (child.text or "").strip()
        return found

    return [value(row, ("many",)) for row in ET.fromstring(body)]


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=many(60), deadline=None)
@given(
    rows=ROWS,
    without=st.sets(st.sampled_from(["w", "x", "y", "many"])),
    most=st.sampled_from([None, None, 0, 1, 2]),
    edges=st.sampled_from([(True, True), (True, False), (False, True), (False, False)]),
)
def test_the_same_records_give_the_same(name, rows, without, most, edges):
    window = Window(ZONED.start if edges[0] else None, ZONED.end if edges[1] else None)
    (json_form, dataset), (xml_form, _) = world(FORMS[name], EXTRA)
    # a blank text is a text in JSON: here both say that there is nothing
    as_read = [{key: value for key, value in row.items() if value != "  "} for row in rows]
    one = outcome(json_form, dataset, as_json(as_read), "application/json", window, without, most)
    other = outcome(xml_form, dataset, as_xml(as_read), "application/xml", window, without, most)
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    assert one.counts == other.counts
    assert given_json(one.body) == given_xml(other.body)


@pytest.mark.parametrize(
    ("how", "record", "inside"),
    [
        ({"instant": "a"}, "<a>2025-03-30T01:59:59</a>", True),  # the hour before clocks go on
        ({"instant": "a"}, "<a>2025-03-30T00:59:59Z</a>", True),
        ({"instant": "a"}, "<a>2025-03-30T01:00:00Z</a>", False),
        ({"instant": "a"}, "<a> 2025-03-29T10:00:00Z\n</a>", True),
        ({"instant": "a"}, "<a>2025-03-29</a>", True),
        ({"instant": "a"}, "<a>2025-03-30</a>", False),  # not wholly inside
        ({"instant": "a", "written": "dd/mm/yyyy"}, "<a>29/03/2025</a>", True),
        ({"instant": "a", "ends": True, "length": 3600}, "<a>2025-03-30T01:00:00Z</a>", True),
        ({"span": ["a"], "length": 3600}, "<a>2025-03-30T00:30:00Z</a>", False),
        ({"state": ["a", "b"]}, "<a>2025-03-29</a>", True),
        ({"state": ["a", "b"]}, "<a>2025-04-01</a>", False),
        ({"state": ["a", "b"]}, "", True),
        ({"parts": ["a", "b", "c"]}, "<a>2025</a><b>3</b><c>29</c>", True),
        ({"parts": ["a", "b", "c"]}, "<a>2025</a><b>3</b>", False),
    ],
)
def test_the_window_at_the_hour_that_is_left_out(how, record, inside):
    _, (form, dataset) = world(how, {})
    window = Window(datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 3, 30, 1, tzinfo=UTC))
    for count in (1, 5):  # the later ones are read as bytes
        body = f"<rows>{f'<row>{record}<line>{MINE.native}</line></row>' * count}</rows>".encode()
        found = outcome(form, dataset, body, "application/xml", window, (), None)
        assert found.counts.records == count * inside


def test_leap_days_and_the_two_hours_of_one_name():
    _, (form, dataset) = world({"instant": "a"}, {})
    leap = Window(datetime(2024, 2, 28, 23, tzinfo=UTC), datetime(2024, 2, 29, 23, tzinfo=UTC))
    days = ["2024-02-28", "2024-02-29", "2024-03-01"]
    body = "".join(f"<row><a>{day}</a><line>{MINE.native}</line></row>" for day in days)
    found = outcome(form, dataset, f"<rows>{body}</rows>".encode(), "application/xml", leap, (), None)
    assert given_xml(found.body) == [{"a": "2024-02-29", "line": MINE.ref}]
    assert (found.counts.start, found.counts.end) == (leap.start, leap.end)
    assert found.counts.end - found.counts.start == timedelta(days=1)
    with_fault = f"<rows><row><a>2023-02-29</a><line>{MINE.native}</line></row></rows>".encode()
    assert outcome(form, dataset, with_fault, "application/xml", leap, (), None) == "rows.row[0].a"

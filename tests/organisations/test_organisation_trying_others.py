"""Answers that are no JSON, tried at random: each member is in the app's bytes, or has one reason, as in JSON."""

import csv
import io
import re
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.catalogue import Catalogue
from gateway.formats.registry import BY_TABLES
from gateway.formats.trials import Trial, TrialTerms
from gateway.ground.calendar.instants import Window, span
from gateway.organisations import trying
from gateway.settings import shipped_policies
from tests.torture import many

catalogue = Catalogue(shipped_policies())
WORDS = {"fr": "un", "en": "one"}
ACCOUNTS = ("FR7612345678", "FR7698765432")
CELLS = {
    "seq": st.none(), "owner": st.sampled_from(ACCOUNTS),
    "when": st.sampled_from(["2026-01-10T00:00:00Z", "2026-02-10T00:00:00Z", "2026-03-10T00:00:00Z", ""]),
    "note": st.sampled_from(["", "a, b", 'say "x"', "of FR7612345678 too", "two\nlines", "<&>"]),
    "amount": st.sampled_from(["", "1.50", "-2.00"]), "count": st.sampled_from(["", "0", "17"]),
    "kind": st.sampled_from(["", "a", "b"]), "side": st.sampled_from(["", "x", "y"]),
    "other": st.sampled_from(["", "id-1", "77"]), "never": st.sampled_from(["", "secret"]),
    "new": st.sampled_from(["", "text with blanks"]),
}  # fmt: skip
SHAPE = "seq:i owner:s when:s note:x amount:d count:i kind:s side:s other:p never:-"
FIELDS = {
    "f.0": ["seq", "owner", "when"],
    "f.1": ["note", "amount"],
    "f.2": ["count", "kind"],
    "f.3": ["side", "other"],
}


def document(driver: str) -> dict[str, Any]:
    rows = [
        {
            "id": name,
            "label": WORDS,
            "short": WORDS,
            "structural": name == "f.0",
            "find": [f"Rec/{each}" for each in find],
        }
        for name, find in FIELDS.items()
    ]
    form: dict[str, Any] = {
        "driver": driver,
        "calls": [{"name": "recs", "dataset": "own.recs", "records": "Rec", "path": "/recs"}],
        "records": {"Rec": {"account": "owner", "instant": "when"}},
        "required": {"Rec/kind": {"instead": "withheld"}},
        "only": {"Rec/side": {"member": "seq", "is": ["1", "3"]}},
        "shapes": {"Rec": SHAPE},
    }
    if driver == "xml":
        form["records"]["Rec"]["at"] = "List.Rec"
        form["shapes"] |= {"Answer": "List:List", "List": "Rec:Rec*"}
    return {
        "id": "own", "sector": "telecom", "zone": "Europe/Paris", "format": form,
        "datasets": [{"id": "own.recs", "category": "communications", "sensitivity": "sensitive", "label": WORDS,
                      "short": WORDS, "long": WORDS, "account": WORDS, "time": {**WORDS, "find": "Rec/when"},
                      "field": rows}],
    }  # fmt: skip


def written(driver: str, rows: list[dict[str, str]]) -> bytes:
    if driver == "csv":
        out = io.StringIO(newline="")
        csv.writer(out).writerows([list(CELLS), *([row[name] for name in CELLS] for row in rows)])
        return out.getvalue().encode()
    inside = "".join(
        "<Rec>" + "".join(f"<{name}>{escape(cell)}</{name}>" for name, cell in row.items() if cell) + "</Rec>"
        for row in rows
    )
    return f"<List>{inside}</List>".encode()


def read(driver: str, body: bytes) -> dict[str, dict[str, str]]:
    """The records that the app has, by their number, as a reader of its own finds them."""
    if driver == "csv":
        found = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
        return {row["seq"]: {name: cell for name, cell in row.items() if cell} for row in found}
    root = ElementTree.fromstring(body)
    each = [{re.sub("{.*}", "", cell.tag): cell.text or "" for cell in record} for record in root]
    return {record["seq"]: record for record in each}


def run(driver: str, rows: list[dict[str, str]], terms: TrialTerms) -> Trial:
    (of,) = trying.prepared("own.toml", document(driver), catalogue).formats
    return of.run(of.form.calls["recs"], written(driver, rows), terms)


@pytest.mark.parametrize(
    "driver",
    [
        pytest.param(each, marks=pytest.mark.skipif(each not in BY_TABLES, reason=f"there is no engine for {each} yet"))
        for each in ("csv", "xml")
    ],
)
@settings(max_examples=many(80), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_member_is_in_the_apps_bytes_or_has_exactly_one_reason(driver: str, data: st.DataObject) -> None:
    rows = [
        {name: str(number) if name == "seq" else data.draw(cell) for name, cell in CELLS.items()}
        for number in range(data.draw(st.integers(0, 5)))
    ]
    terms = TrialTerms(
        fields=data.draw(st.none() | st.frozensets(st.sampled_from(["f.1", "f.2", "f.3"]))),
        window=Window(None, data.draw(st.sampled_from([None, span("2026-02-20", "Europe/Paris")[0]]))),
        accounts=data.draw(st.sampled_from([(), ACCOUNTS[:1]])),
        records_max=data.draw(st.sampled_from([None, 1])),
    )
    trial = run(driver, rows, terms)
    assert not trial.refusal, trial.refusal
    got = read(driver, trial.body)
    assert len(trial.records) == len(rows) and trial.counts.records == len(got)
    for row, fate in zip(rows, trial.records, strict=True):
        assert (row["seq"] in got) == fate.given, fate
        reasons = [each.path for each in fate.rows if each.fate == "withheld"]
        for name in (name for name, cell in row.items() if cell):
            there = name in got.get(row["seq"], {})
            assert there != (name in reasons) and reasons.count(name) <= 1, (name, fate)
            assert all(each.reason for each in fate.rows if each.fate != "same")

"""One flat record, of telephone calls, as an organisation may write it in JSON, in lines of it, in CSV or in XML."""

import csv
import io
import json
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from gateway.catalogue import format_files
from gateway.catalogue.words import FileTable
from gateway.formats import registry
from gateway.formats.drift import unheard
from gateway.formats.model import Account, Asked, Cut, Granted, Plan, Source, Upstream
from gateway.ground.calendar.instants import Window
from gateway.ground.keys import Sealer
from gateway.organisations import owned

MINE = Account("line-4711", "ref-of-mine")
WINDOW = Window(datetime(2026, 2, 10, tzinfo=UTC), None)
NOW = datetime(2026, 11, 15, 12, tzinfo=UTC)
DRIVERS = ("json", "ndjson", "csv", "xml")
TYPES = {"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv", "xml": "application/xml"}
FIELDS = ("line", "when", "code", "band", "about", "cut", "noted", "area")  # of `exact`
MEMBERS = ("at", "line", "partner", "length", "price", "tax", "note", "place")
WORDS = {"at": "s", "line": "s", "partner": "s", "length": "i", "price": "n", "tax": "d", "note": "x", "place": "s"}


def field(id_: str, find: str, made: str = "", structural: bool = False) -> str:
    more = f"made = {{ {made} }}\n" if made else ""
    more += "structural = true\n" if structural else ""
    words = 'label = { fr = "Un", en = "One" }\nshort = { fr = "Un.", en = "One." }\n'
    return f'[[datasets.field]]\nid = "{id_}"\n{words}find = ["{find}"]\n{more}'


def dataset(id_: str, *fields: str) -> str:
    words = "".join(f'{key} = {{ fr = "Un.", en = "One." }}\n' for key in ("label", "short", "long", "account"))
    time = 'time = { fr = "Un.", en = "One.", find = "Call/at" }\n'
    return (
        f'[[datasets]]\nid = "{id_}"\ncategory = "communications"\nsensitivity = "sensitive"\n{words}{time}'
        + "".join(fields)
    )


DATASETS = dataset(
    "blurred.calls",
    field("line", "Call/line", structural=True),
    field("month", "Call/at", 'date = "month"', structural=True),
    field("code", "Call/partner", "pseudonym = true"),
    field("band", "Call/length", 'band = ["60", "600"]'),
    field("about", "Call/price", 'round = "0.5"'),
    field("cut", "Call/tax", "cut = 1"),
    field("noted", "Call/note", 'yes = "present"'),
    field("area", "Call/place", "keep = 2"),
) + dataset(
    "blurred.monthly",
    field("which", "Total/from", structural=True),
    field("sum", "Total/sum"),
    field("about", "Total/sum", 'round = "10"'),
    field("more", "Total/count"),
    field("first", "Total/first"),
)  # fmt: skip
AROUND = {
    "json": ('at = "items"\n', 'Answer = "items:Call* next:s owner:s"\n', '[format.pages]\nby = "link"\nat = "next"\n'),
    "ndjson": ("", "", '[format.pages]\nby = "link-header"\n'),
    "csv": ("", "", '[format.csv]\nseparator = ";"\ndecimal = ","\n[format.pages]\nby = "link-header"\n'),
    "xml": ('at = "Calls.Call"\n', 'Answer = "Calls:Calls"\nCalls = "Call:Call* @next:s"\n',
            '[format.pages]\nby = "link"\nat = "Calls.@next"\n'),
}  # fmt: skip


def declaration(driver: str, **changed: str) -> str:
    at, lines, more = AROUND[driver]
    names = {name: f"{'@' if driver == 'xml' and name in ('tax', 'note') else ''}{name}" for name in MEMBERS}
    datasets = DATASETS
    for name, written in names.items():
        datasets = datasets.replace(f'"Call/{name}"', f'"Call/{written}"')
    shape = " ".join(f"{names[name]}:{ {**WORDS, **changed}[name] }" for name in MEMBERS)
    return f"""{datasets}
[format]
driver = "{driver}"
[format.parameters]
since = {{ as = "from", written = "rfc3339" }}
until = {{ as = "to", written = "rfc3339" }}
[[format.calls]]
name = "calls"
dataset = "blurred.calls"
records = "Call"
path = "/lines/{{account}}/calls"
query = ["since", "until"]
[[format.calls]]
name = "monthly"
dataset = "blurred.monthly"
records = "Call"
path = "/lines/{{account}}/monthly"
asks = "/lines/{{account}}/calls"
query = ["since", "until"]
answer = {{ as = "Total", per = "month", of = "price", gives = ["sum", "count", "first"] }}
{more}
[format.records.Call]
account = "line"
instant = "at"
{at}
[format.shapes]
{lines}Call = "{shape}"
Total = "from:s sum:d count:i first:d"
"""


def exact(driver: str = "json") -> str:
    """A declaration whose times leave as they are: `when` in the place of `month`."""
    text = declaration(driver).replace('made = { date = "month" }\n', "")
    return text.replace('id = "month"', 'id = "when"', 1)


def planned(
    text: str,
    dataset: str,
    fields: Iterable[str],
    mine: Account = MINE,
    *,
    clock: Callable[[], datetime] = lambda: NOW,
    heard: bool = False,
) -> Plan:
    """`heard`: what is not declared is withheld and told; else it is refused."""
    form, own = owned.read(tomllib.loads(text))
    assert form is not None
    wrong = [(key, text) for _, key, text in registry.form_faults(form, own)]
    assert not wrong, wrong
    source = Source(
        "blurred", "telecom", "", "Europe/Paris", "https://gw.example/data/blurred", "https://blurred.example",
        forms={"": form}, known=own, sealer=Sealer(b"k" * 32), clock=clock,
    )  # fmt: skip
    if heard:
        source = replace(source, seen=lambda _: unheard())
    return registry.plan(source, "", [Granted(dataset, frozenset(fields), (mine,), pair="app-and-person")])


def faults(text: str) -> list[str]:
    """What is wrong with the format of a declaration."""
    found: list[str] = []
    format_files.read(FileTable("file", tomllib.loads(text)["format"], found), "")
    return found


@cache
def plan(driver: str, dataset: str, *fields: str) -> Plan:
    return planned(declaration(driver), dataset, fields)


Record = dict[str, str | None]  # numbers as they are written with a point; None: not there


def document(driver: str, records: list[Record]) -> bytes:
    if driver in ("json", "ndjson"):
        written = []
        for record in records:
            parts = [
                f'"{name}":{value if WORDS[name] in ("i", "n") else json.dumps(value)}'
                for name, value in record.items() if value is not None
            ]  # fmt: skip
            written.append("{" + ",".join(parts) + "}")
        return ("\n".join(written) if driver == "ndjson" else f'{{"items":[{",".join(written)}]}}').encode()
    if driver == "csv":
        out = io.StringIO()
        writer = csv.writer(out, delimiter=";")
        writer.writerow(MEMBERS)
        decimal = {"price", "tax"}
        writer.writerows(
            [(record[name] or "").replace(".", "," if name in decimal else ".") for name in MEMBERS]
            for record in records
        )
        return out.getvalue().encode()
    text = "<Calls>"
    for record in records:
        quoted = {name: escape(value, {'"': "&quot;"}) for name, value in record.items() if value is not None}
        text += "<Call" + "".join(f' {name}="{quoted.pop(name)}"' for name in ("tax", "note") if name in quoted)
        text += ">" + "".join(f"<{name}>{value}</{name}>" for name, value in quoted.items()) + "</Call>"
    return (text + "</Calls>").encode()


def cut(its: Plan, driver: str, what: str, body: bytes, link: str = "", **query: str) -> Cut:
    asked = its.request(Asked("GET", f"/lines/{MINE.ref}/{what}", tuple(query.items())), WINDOW)
    assert isinstance(asked, Upstream), asked
    return its.cut(asked, TYPES[driver], body, WINDOW, link)


def records_of(driver: str, body: bytes) -> list[Record]:
    """What an app gets, as records again."""
    if driver == "json":
        return [texts(each) for each in json.loads(body, parse_int=str, parse_float=str)["items"]]
    if driver == "ndjson":
        return [texts(json.loads(line, parse_int=str, parse_float=str)) for line in body.splitlines()]
    if driver == "csv":
        rows = list(csv.DictReader(io.StringIO(body.decode()), delimiter=";"))
        decimal = {"price", "tax"}
        return [
            {name: text.replace(",", ".") if name in decimal else text for name, text in row.items() if text}
            for row in rows
        ]
    return [
        {**dict(each.attrib), **{child.tag: child.text for child in each if child.text}}
        for each in ElementTree.fromstring(body)
    ]


def texts(record: dict[str, Any]) -> Record:
    said = {True: "true", False: "false"}
    return {name: said[value] if isinstance(value, bool) else value for name, value in record.items()}


def one(**more: str | None) -> Record:
    return {"at": "2026-10-03T10:11:12+00:00", "line": MINE.native, "partner": None, "length": None, "price": "1",
            "tax": None, "note": None, "place": None, **more}  # fmt: skip

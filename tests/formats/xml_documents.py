"""A declared format in XML, plans for it, and documents of it."""

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.catalogue import Dataset, Format, format_files
from gateway.catalogue.datasets import dataset
from gateway.catalogue.words import FileTable
from gateway.formats import registry
from gateway.formats.drift import Seen
from gateway.formats.model import Account, Asked, Granted, Source, Upstream
from gateway.formats.xml_plan import XmlPlan
from gateway.ground.calendar.instants import Window
from gateway.ground.keys import Sealer

MINE = Account("33612345678", "ref-of-mine")
OTHER = Account("33698765432", "ref-of-other")
FOREIGN = "33600000099"
ALWAYS = Window(None, None)
ZONE = "Europe/Paris"
WORDS = {"fr": "mot", "en": "word"}

CALLS = """
driver = "xml"
[parameters]
since = { as = "from" }
until = { as = "to" }
page = { as = "page" }
[[calls]]
name = "calls"
dataset = "calls"
records = "Call"
path = "/lines/{account}/calls"
query = ["since", "until", "page"]
[[calls]]
name = "all-calls"
dataset = "calls"
records = "Call"
path = "/calls"
[records.Call]
at = "Calls.Call"
account = "line"
instant = "when"
[namespaces]
"" = "urn:calls"
ext = "urn:more"
[shapes]
Answer = "Calls:Calls"
Calls = "Call:Call* @version:s"
Call = "@id:s when:s line:s partner:s length:i kind:s cost:Money note:x* ext:cell:s tags:s* inner:-"
Money = "@currency:s .:d"
"""
FIELDS = {
    "when": ("Call/when", "Call/line"),
    "id": ("Call/@id",),
    "partner": ("Call/partner",),
    "length": ("Call/length",),
    "kind": ("Call/kind",),
    "cost": ("Call/cost",),
    "note": ("Call/note",),
    "cell": ("Call/ext:cell",),
    "tags": ("Call/tags",),
}


def form_of(text: str | Mapping[str, Any]) -> Format:
    faults: list[str] = []
    table = tomllib.loads(text) if isinstance(text, str) else text
    made = format_files.read(FileTable("format", table, faults), "")
    assert not faults, faults
    return made


def dataset_of(
    name: str, fields: Mapping[str, Iterable[str]], structural: Iterable[str] = (), time: str = ""
) -> Dataset:
    faults: list[str] = []
    row = {
        "id": name,
        "category": "money",
        "sensitivity": "none",
        **dict.fromkeys(("label", "short", "long", "account"), WORDS),
        "time": {**WORDS, **({"find": time} if time else {})},
        "field": [
            {"id": field, "label": WORDS, "short": WORDS, "find": list(find), "structural": field in structural}
            for field, find in fields.items()
        ],
    }
    made = dataset(FileTable(name, row, faults), "telecom", "")
    assert not faults, faults
    return made


def source_of(form: Format, *datasets: Dataset, seen: Seen | None = None, zone: str = ZONE) -> Source:
    return Source(
        "shop",
        "telecom",
        "",
        zone,
        "https://gw.example/data/shop",
        "https://shop.example",
        forms={"": form},
        known={each.id: each for each in datasets},
        sealer=Sealer(bytes(32)),
        seen=lambda _: seen,
    )


def plan_of(
    form: Format,
    dataset: Dataset,
    without: Iterable[str] = (),
    accounts: tuple[Account, ...] = (MINE,),
    most: int | None = None,
    others: tuple[str, ...] = (),
    seen: Seen | None = None,
    zone: str = ZONE,
) -> XmlPlan:
    granted = Granted(dataset.id, frozenset(dataset.fields) - set(without), accounts, most, others, "pair")
    made = registry.plan(source_of(form, dataset, seen=seen, zone=zone), "", [granted])
    return made  # type: ignore[return-value]


def sent_of(plan: Any, path: str, *query: tuple[str, str], window: Window = ALWAYS) -> Upstream:
    found = plan.request(Asked("GET", path, query), window)
    assert isinstance(found, Upstream), found
    return found


def streamed(plan: XmlPlan, sent: Upstream, body: bytes, size: int, window: Window = ALWAYS) -> tuple[bytes, Any]:
    cutter = plan.cutter(sent, "application/xml", window)
    if cutter is None:  # only its end tells whether a page follows
        found = plan.cut(sent, "application/xml", body, window)
        return found.body, found.counts
    out = b"".join(cutter.feed(body[at : at + size]) for at in range(0, len(body), size))
    return out + cutter.close(), cutter.counts()

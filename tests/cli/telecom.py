"""An organisation that nobody has written code for, and an answer of it: what its engineer has in the first minutes."""

import csv
import io
import json
from pathlib import Path
from typing import Any

DECLARATION = """\
id = "north-telecom"
name = { fr = "Télécom du Nord", en = "North Telecom" }
legal_entity = "North Telecom SA"
sector = "telecom"
zone = "Europe/Paris"
website = "https://north-telecom.example"

[contact]
privacy = "privacy@north-telecom.example"
support = "help@north-telecom.example"

[connection]
kind = "assertion"
base_url = "https://api.north-telecom.example"

[connection.link]
start = "/link/start"
confirm = "/link/confirm"
unlink = "/link/end"
number_label = { fr = "Numéro de client", en = "Customer number" }

[[datasets]]
id = "telecom.calls"
category = "communications"
sensitivity = "sensitive"
label = { fr = "Appels", en = "Calls" }
short = { fr = "Les appels de vos lignes.", en = "The calls of your lines." }
long = { fr = "Quand vous avez appelé, et combien de temps.", en = "When you called, and for how long." }
account = { fr = "ligne", en = "line" }
time = { fr = "L’heure de l’appel.", en = "The time of the call.", find = "PhoneCall/timestamp" }

[[datasets.field]]
id = "call.when"
label = { fr = "Date", en = "Date" }
short = { fr = "Quand l’appel a commencé.", en = "When the call began." }
structural = true
comes_with = { fr = "Un identifiant de la ligne.", en = "An identifier of the line." }
find = ["PhoneCall/timestamp", "PhoneCall/msisdn", "PhoneCall/_id"]

[[datasets.field]]
id = "call.length"
label = { fr = "Durée", en = "Length" }
short = { fr = "Combien de temps.", en = "How long it took." }
find = ["PhoneCall/length", "PhoneCall/type"]

[[datasets.field]]
id = "call.partner"
label = { fr = "Correspondant", en = "Other side" }
short = { fr = "Le numéro de l’autre.", en = "The number of the other side." }
sensitivity = "special"
find = ["PhoneCall/partner"]

[[datasets.field]]
id = "call.note"
label = { fr = "Commentaire", en = "Comment" }
short = { fr = "Ce que vous avez écrit. Il peut contenir des noms.", en = "What you wrote. It may contain names." }
find = ["PhoneCall/note"]

[format]
driver = "json"

[format.parameters]
since = { as = "from", written = "rfc3339" }
until = { as = "to", written = "rfc3339" }
limit = { as = "size", most = 500 }

[[format.calls]]
name = "calls"
dataset = "telecom.calls"
records = "PhoneCall"
path = "/calls"
query = ["since", "until", "limit"]

[format.pages]
by = "link"
at = "paging.next"

[format.around]
"Meta/total" = "only-page"

[format.records.PhoneCall]
at = "items"
account = "msisdn"
instant = "timestamp"

[format.required]
"PhoneCall/type" = { instead = "withheld" }

[format.shapes]
Answer = "items:PhoneCall* paging:Paging meta:Meta"
Paging = "next:s"
Meta = "total:i server:s"
PhoneCall = \"\"\"_id:p timestamp:s msisdn:s partner:s length:i type:s
note:x cell:-\"\"\"
"""


def call(number: int, **members: Any) -> dict[str, Any]:
    return {
        "_id": f"c{number}",
        "timestamp": f"2026-01-{number:02}T10:00:00Z",
        "msisdn": "33611111111",
        "partner": "33699999999",
        "length": 60 + number,
        "type": "voice",
        "note": "call mum on 33611111111",
        **members,
    }


def answer(*calls: dict[str, Any], **beside: Any) -> str:
    whole = {"items": list(calls), "paging": {"next": "/calls?page=2"}, "meta": {"total": 7, "server": "a7"}, **beside}
    return json.dumps(whole, ensure_ascii=False)


ANSWER = answer(
    call(3, cell="0A-11", tariff={"name": "Flat", "price": "12.50"}),
    call(4, msisdn="33622222222"),
    call(28, timestamp="2026-02-03T10:00:00Z"),
    call(5),
)


def declared(folder: Path, *changes: tuple[str, str]) -> Path:
    """The file, with each text in place of another."""
    text = DECLARATION
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = folder / "north-telecom.toml"
    path.write_text(text, encoding="utf-8")
    return path


# ---- the same in other formats

NO_PAGES = (
    '[format.pages]\nby = "link"\nat = "paging.next"\n\n[format.around]\n"Meta/total" = "only-page"\n\n',
    "",
)
CALLS = [
    call(3, cell="0A-11", tariff="Flat"),
    call(4, msisdn="33622222222"),
    call(28, timestamp="2026-02-03T10:00:00Z"),
    call(5, note='a; b\nc "d"'),
]


def as_csv(folder: Path) -> tuple[Path, str]:
    path = declared(
        folder,
        ('driver = "json"', 'driver = "csv"\ncsv = { separator = ";" }'),
        NO_PAGES,
        ('at = "items"\n', ""),
        ('Answer = "items:PhoneCall* paging:Paging meta:Meta"\nPaging = "next:s"\nMeta = "total:i server:s"\n', ""),
    )
    names = list(dict.fromkeys(name for each in CALLS for name in each))
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=";").writerows([names, *([each.get(name, "") for name in names] for each in CALLS)])
    return path, out.getvalue()


def as_xml(folder: Path) -> tuple[Path, str]:
    path = declared(
        folder,
        ('driver = "json"', 'driver = "xml"'),
        NO_PAGES,
        ('at = "items"', 'at = "Calls.PhoneCall"'),
        ('account = "msisdn"\n', 'account = "msisdn"\n'),
        ("[format.shapes]", '[format.namespaces]\n"" = "urn:calls"\n\n[format.shapes]'),
        ('Answer = "items:PhoneCall* paging:Paging meta:Meta"\nPaging = "next:s"\nMeta = "total:i server:s"\n',
         'Answer = "Calls:Calls"\nCalls = "PhoneCall:PhoneCall*"\n'),
        ("_id:p ", "@_id:p "),
        ('"PhoneCall/_id"', '"PhoneCall/@_id"'),
    )  # fmt: skip
    rows = "".join(
        f'<PhoneCall _id="{each["_id"]}">'
        + "".join(f"<{name}>{value}</{name}>" for name, value in each.items() if name != "_id")
        + "</PhoneCall>"
        for each in CALLS
    )
    return path, f'<?xml version="1.0"?>\n<Calls xmlns="urn:calls">{rows}</Calls>'

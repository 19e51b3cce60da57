"""Small answers of the organisations in examples/organisations/panel, made from what their files say.

    answer(organisation, format, call, today)    a few records: of the account that is asked for, of another of hers, of
                                                 a stranger; inside a period and outside; with nothing but nulls

Every value has a text of its own, so that a test can look for it in what leaves, and `Leaf` tells where it stood. The
second record is as such data look. No clock and no chance: the same arguments give the same bytes.
"""

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from msgspec import Raw
from msgspec.json import encode

from gateway.catalogue.formats import Format, FormatCall, Path, along
from gateway.catalogue.shapes import NEVER, inner, members

Member = tuple[str, str]  # type of the table, member
Values = dict[str, Any]

ACCOUNTS = ("FR0000417703", "FR0000528804")  # hers: the one that a call names, and another
STRANGER = "FR0000639905"
HERS, SECOND, OTHER, FOREIGN, OUTSIDE, EMPTY = "hers", "second", "other", "foreign", "outside", "empty"
AROUND = "around"  # not a record, but what stands beside them
YEAR = 365

# how a time is written where a sample shows more than a day
_DAY, _LOCAL, _ZULU = "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"
TIMES: Mapping[Member, str] = {
    ("LoadReading", "date"): "%Y-%m-%d %H:%M:%S",
    ("PeakReading", "date"): "%Y-%m-%d %H:%M",
    ("Bill", "date"): _ZULU,
    ("Home", "beginTs"): _ZULU,
    ("GasMonth", "start"): "%Y-%m-%dT06:00:00",
    ("GasMonth", "end"): "%Y-%m-%dT06:00",
    ("GasDay", "start"): "%Y-%m-%dT06:00:00",
    ("GasDay", "end"): "%Y-%m-%dT06:00:00",
    ("BankAccount", "lastChecked"): _ZULU,
    ("Contrat", "startDate"): _LOCAL,
    ("Sinistre", "timestamp"): "%Y-%m-%dT%H:%M",
    ("Refund", "originalDate"): _ZULU,
    ("PhoneCall", "timestamp"): _ZULU,
    ("Point", "timestamp"): _ZULU,
    ("View", "timestamp"): _ZULU,
    ("TelecomBill", "date"): _ZULU,
    ("Person", "timestamp"): _ZULU,
    ("Receipt", "timestamp"): _LOCAL,
    ("ReceiptLine", "timestamp"): _LOCAL,
    ("Client", "timestamp"): _LOCAL,
    ("Transaction", "ReceiptDateTime"): _LOCAL,
    ("Activity", "time"): _ZULU,
    ("Location", "timestamp"): _ZULU,
    ("Event", "start"): _ZULU,
    ("Event", "end"): _ZULU,
    ("Credential", "validFrom"): _ZULU,
    ("Allowance", "date"): _ZULU,
    ("TripProperties", "start_fmt_time"): _LOCAL,
    ("TripProperties", "end_fmt_time"): _LOCAL,
}
WRITTEN = {"dd/mm/yyyy": "%d/%m/%Y"}  # words of `written` in these files → as strftime has it
LASTS: Mapping[str, timedelta] = {  # type of record → how long one is
    "Statement": timedelta(days=27),
    "GasMonth": timedelta(days=30),
    "Event": timedelta(hours=1),
    "Trip": timedelta(minutes=40),
}

# member → what it looks like in such data; any other has a value by its word
PLAUSIBLE: Mapping[str, tuple[Any, ...]] = {
    "unit": ("W", "Wh"),
    "measurement_kind": ("power", "energy"),
    "aggregate": ("average", "sum"),
    "measure_type": ("B", "E"),
    "interval_length": ("PT30M",),
    "quality": ("BRUT", "Membre principal"),
    "segment": ("C5",),
    "title": ("Mme", "M.", "Compte courant"),
    "family": ("Martin", "Épicerie salée"),
    "given": ("Aïcha", "Jules"),
    "street": ("12 rue des Lilas",),
    "city": ("Nantes", "Lyon"),
    "zip": ("44000",),
    "postcode": ("44000",),
    "country": ("France",),
    "status": ("CONTRAT_ACTIF", "close"),
    "energie": ("Électricité",),
    "power": ("6 kVA", 5),
    "nombreRoues": ("005",),
    "dernierIndex": ("69988.0",),
    "peakHours": ("22H00-6H00",),
    "statementType": ("REEL", "ESTIME"),
    "statementCategory": ("RELEVE_REEL", "gazpar"),
    "period": ("2026-10",),
    "paymentMeans": ("PRELEVEMENT",),
    "billFrequency": ("MENSUELLE",),
    "modifBankDetailsAllowed": ("true", "false"),
    "nextBillDate": ("",),
    "housingType": ("APPARTEMENT", "MAISON"),
    "constructionDate": (1974,),
    "surface": (64,),
    "occupantsCount": (2, 4),
    "email": ("aicha@example.org",),
    "volumeToEnergyCoefficient": ("11.04",),
    "bank": ("Société Centrale",),
    "role": ("titulaire", "mandataire"),
    "currency": ("EUR",),
    "Type": ("VIS", "DD", "ATM"),
    "civility": ("MME", "M"),
    "csp": ("52",),
    "maritalStatus": ("marié", "célibataire"),
    "childrenCount": (2,),
    "fuel": ("essence", "électrique"),
    "gearbox": ("manuelle",),
    "roomCount": (3,),
    "formuleBase": ("Arbitrage", "Sérénité"),
    "modePaiement": ("Prélèvement (12 fois)",),
    "subtype": ("Consultation", "Pharmacie"),
    "beneficiary": ("Jules Martin",),
    "prestation": ("CONSULTATION", "IJ MALADIE"),
    "partner": ("33699000042",),
    "length": (59, 1),
    "chipType": ("s", "M"),
    "type": ("appel sortant", "SMS entrant"),
    "networkType": ("3G", "4G"),
    "endCause": ("0", "255"),
    "latitude": ("47.21806", "48.85341"),
    "longitude": ("-1.55278", "2.34880"),
    "radius": (120, 6667),
    "deviceState": ("on", "off"),
    "csaCode": (1, 2),
    "latitudeE7": (472180600,),
    "longitudeE7": (-15527800,),
    "accuracy": (18,),
    "source": ("WIFI", "GPS"),
    "header": ("Recherche",),
    "products": ("Recherche",),
    "libelleMatiere": ("Mathématiques", "Histoire"),
    "valeur": ("14.50",),
    "noteSur": ("20",),
    "quotientFamilial": (712, 1043),
    "sexe": ("F", "M"),
    "sensed_mode": ("PredictedModeTypes.CAR", "PredictedModeTypes.BICYCLING"),
    "ItemCount": (2,),
}
FOOT: Mapping[str, tuple[str, ...]] = {"Midata": ("Arranged overdraft limit", "04/11/2026", "1000.00")}  # no record


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of an answer. `chain`: the members on the way to it, from the outside in; `text`: as it is written,
    or "" where it could stand for something else (a date, true)."""

    record: str
    chain: tuple[Member, ...]
    word: str
    text: str

    @property
    def secret(self) -> str:
        """The part that no other value has."""
        if self.text.startswith('"'):
            return self.text.strip('"').rpartition(" ")[2]
        return self.text.rstrip("0") if "." in self.text else self.text


@dataclass(slots=True)
class Sample:
    """`records`: which of them there are, in order."""

    media_type: str
    body: bytes
    leaves: list[Leaf]
    records: list[str]


@dataclass(slots=True)
class _Made:
    organisation: str
    form: Format
    call: FormatCall
    today: date
    leaves: list[Leaf] = field(default_factory=list)
    number: int = 0
    record: str = ""

    def secret(self, chain: tuple[Member, ...]) -> int:
        """A number of six digits that nothing else of this answer has."""
        self.number += 1
        seed = f"{self.organisation} {self.call.name} {self.number} {chain}"
        return 100_000 + self.number * 1000 + int(hashlib.sha256(seed.encode()).hexdigest(), 16) % 900

    # ---- values

    def values(self, kind: str, chain: tuple[Member, ...], fixed: Mapping[Path, Any], path: Path = ()) -> Values:
        found: Values = {}
        for name, word in members(self.form.shapes, kind).items():
            here, step = (*path, name), (*chain, (kind, name))
            if here in fixed:
                found[name] = fixed[here]
            elif self.record == EMPTY and not any(each[: len(here)] == here for each in fixed):
                found[name] = None
            else:
                found[name] = self.value(word, step, fixed, here)
        return found

    def value(self, word: str, chain: tuple[Member, ...], fixed: Mapping[Path, Any], path: Path) -> Any:
        if word.endswith("*"):
            return [self.value(word[:-1], chain, fixed, path)]
        if word.endswith("{}"):
            return {"cle": self.value(word[:-2], chain, fixed, path)}
        if word in self.form.shapes:
            return self.values(word, chain, fixed, path)
        return self.scalar(word, chain)

    def scalar(self, word: str, chain: tuple[Member, ...]) -> Any:
        pages = self.form.pages
        if pages is not None and chain[-1:] == tuple(along(self.form.shapes, self.call.envelope, pages.at) or ())[-1:]:
            return None  # there is one page
        name, secret = chain[-1][1], self.secret(chain)
        known = PLAUSIBLE.get(name, ())
        if self.record == SECOND and word in "sx" and "date" in name.lower():
            return (self.today - timedelta(days=secret % 9000)).strftime(_DAY)
        if self.record == SECOND and known and word not in NEVER:
            value = known[secret % len(known)]
            return Raw(str(value).encode()) if word in ("n", "v") else value if word in "id" else str(value)
        if word == "b":
            value = True
            text = ""
        elif word == "i":
            value, text = secret, str(secret)
        elif word in ("n", "v"):
            text = f"{secret}.50"
            value = Raw(text.encode())
        elif word == "d":
            text = f"{secret}.50"
            value = text
        elif word == "j":
            value = {"texte": f"détail {_code(secret)}"}
            text = f'"{value["texte"]}"'
        else:
            value = f"{known[0] if known and isinstance(known[0], str) else 'texte'} {_code(secret)}"
            text = f'"{value}"'
        self.leaves.append(Leaf(self.record, chain, word, text))
        return value

    # ---- times

    def times(self) -> dict[Path, Any]:
        """What the record's own time is made of."""
        kind, time = self.call.records, self.form.records[self.call.records].time
        if time.how == "none":
            return {}
        outside = self.record == OUTSIDE
        begins = datetime.combine(self.today, datetime.min.time()) + timedelta(hours=9)
        begins += timedelta(days=YEAR if time.how == "state" else -3 * YEAR) if outside else timedelta(days=-45)
        begins += timedelta(days=self.number % 5)
        if time.how == "parts":
            parts = (begins.year, begins.month - 1 + time.months_from, begins.day)
            return dict(zip(time.paths, parts, strict=False))
        lasts = time.how == "state" and not outside and self.record != SECOND
        ends = None if lasts else begins + LASTS.get(kind, timedelta(days=1))
        found: dict[Path, Any] = {}
        for path, moment in zip(time.paths, (begins, ends), strict=False):
            member = (along(self.form.shapes, kind, path) or [("", "")])[-1]
            form = WRITTEN.get(time.written) or TIMES.get(member, _DAY)
            found[path] = None if moment is None else moment.strftime(form)
        if time.length_path:
            found[time.length_path] = "PT30M"
        return found

    # ---- records

    def rows(self) -> Iterator[tuple[str, dict[Path, Any]]]:
        records = self.form.records[self.call.records]
        asked = self.call.names_account
        accounts = {HERS: ACCOUNTS[0], SECOND: ACCOUNTS[0 if asked else 1], FOREIGN: STRANGER, OTHER: ACCOUNTS[1]}
        for record in (HERS, SECOND, OTHER, FOREIGN, OUTSIDE, EMPTY):
            self.record = record
            if record == FOREIGN and not records.account or record == OTHER and not (records.account and asked):
                continue
            if record == OUTSIDE and records.time.how == "none":
                continue
            fixed = self.times()
            if records.account:
                fixed[records.account] = accounts.get(record, ACCOUNTS[0])
            yield record, fixed
            if self.form.single(self.call):
                return

    def whole(self, kind: str, at: Path, records: list[Values], chain: tuple[Member, ...] = ()) -> Any:
        """The answer from the outside in."""
        if not at:
            return records[0] if self.form.single(self.call) else records
        found: Values = {}
        for name, word in members(self.form.shapes, kind).items():
            step = (*chain, (kind, name))
            if name == at[0]:
                found[name] = self.whole(inner(word), at[1:], records, step)
            elif self.form.around.get((kind, name)) == "account":
                found[name] = ACCOUNTS[0]
            elif self.form.around.get((kind, name)) in ("not-before", "not-after"):
                found[name] = (self.today - timedelta(days=60)).strftime(_DAY)
            else:
                found[name] = self.value(word, step, {}, ())
        return found


def answer(organisation: str, form: Format, call: FormatCall, today: date) -> Sample:
    """What the organisation says to this call, asked for ACCOUNTS[0] if the call names an account."""
    made = _Made(organisation, form, call, today)
    names, records = [], []
    for record, fixed in made.rows():
        names.append(record)
        records.append(made.values(call.records, (), fixed))
    made.record = AROUND
    if form.driver == "csv":
        body = _csv(form, call.records, records)
    else:
        tree = made.whole(call.envelope, form.place(call), records)
        body = _xml(form, tree) if form.driver == "xml" else encode(tree)
    return Sample(form.media_types[0], body, made.leaves, names)


def _code(number: int) -> str:
    """The number as a word of letters."""
    word = ""
    while number:
        number, rest = divmod(number, 20)
        word += "bcdfghjklmnpqrstvwxz"[rest]
    return f"q{word}q"


# ---- tables and documents


def _csv(form: Format, kind: str, records: list[Values]) -> bytes:
    out = io.StringIO(newline="")
    rows = csv.writer(out, delimiter=form.separator, lineterminator="\r\n")
    names = list(members(form.shapes, kind))
    rows.writerow(names)
    for record in records:
        rows.writerow([_cell(form, record[name]) for name in names])
    if kind in FOOT:
        rows.writerow(FOOT[kind])
    return out.getvalue().encode(form.encoding)


def _cell(form: Format, value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "" if value is None else "true" if value else "false"
    return bytes(value).decode().replace(".", form.decimal) if isinstance(value, Raw) else str(value)


def _xml(form: Format, tree: Values) -> bytes:
    spaces = "".join(
        f" xmlns{':' if prefix else ''}{prefix}={quoteattr(uri)}" for prefix, uri in form.namespaces.items()
    )
    [(name, root)] = tree.items()
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + _element(name, root, spaces)).encode()


def _element(name: str, value: Any, more: str = "") -> str:
    if isinstance(value, list):
        return "".join(_element(name, each) for each in value)
    if value is None:
        return ""
    if not isinstance(value, dict):
        return f"<{name}>{escape(_plain(value))}</{name}>"
    more += "".join(
        f" {key[1:]}={quoteattr(_plain(each))}"
        for key, each in value.items()
        if key.startswith("@") and each is not None
    )
    inside = escape(_plain(value["."])) if value.get(".") is not None else ""
    inside += "".join(_element(key, each) for key, each in value.items() if key != "." and not key.startswith("@"))
    return f"<{name}{more}>{inside}</{name}>"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return bytes(value).decode() if isinstance(value, Raw) else str(value)

"""Whatever is declared and whatever an organisation answers: each member is in the app's bytes, or has one reason."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.catalogue import Catalogue
from gateway.formats.explaining import REASONS, Reason
from gateway.formats.trials import Trial, TrialTerms
from gateway.formats.trying import Tried
from gateway.ground.calendar.instants import Window, span
from gateway.organisations import trying
from gateway.settings import shipped_policies
from tests.torture import many

catalogue = Catalogue(shipped_policies())
WORDS = {"fr": "un", "en": "one"}
ACCOUNTS = ("FR7612345678", "FR7698765432", "FR7600000001")
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "s": st.sampled_from(["a", "", "of FR7612345678 too", "2026-01-01", "withheld"]),
    "x": st.sampled_from(["free", "to FR76 1234 5678", "é"]),
    "b": st.booleans(),
    "i": st.integers(-5, 10**6),
    "n": st.sampled_from([1, 2.5, -0.125, 10**20]),
    "d": st.sampled_from(["1.50", "12", "-0.1"]),
    "v": st.sampled_from(["a", 1, True, 2.5]),
    "j": st.sampled_from([1, "a", None, {"deep": [1, {"er": "FR7612345678"}]}, []]),
    "p": st.sampled_from(["id-1", "id-2", 77]),
    "-": st.sampled_from([1, {"secret": 1}, ["x"], "FR7612345678"]),
}
NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "class", "with blank", "x.y")
TOP = settings(max_examples=many(80), deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def shaped(draw: st.DrawFn, kinds: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Types and their members; each only has types that come after it."""
    table: dict[str, dict[str, str]] = {}
    for number, kind in enumerate(kinds):
        words = [*SCALARS, *(f"{each}{tail}" for each in kinds[number + 1 :] for tail in ("", "*", "{}"))]
        words += ["s*", "p*", "i{}"]
        names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
        table[kind] = {name: draw(st.sampled_from(words)) for name in names}
    return table


def line(members: dict[str, str]) -> str:
    return " ".join(f'"{name}":{word}' if " " in name else f"{name}:{word}" for name, word in members.items())


@st.composite
def value(draw: st.DrawFn, table: dict[str, dict[str, str]], word: str) -> Any:
    """A value of the word: members are missing, null, or ones that nobody has declared."""
    if word.endswith("*"):
        return [draw(value(table, word[:-1])) for _ in range(draw(st.integers(0, 2)))]
    if word.endswith("{}"):
        return {name: draw(value(table, word[:-2])) for name in draw(st.sets(st.sampled_from(["k", "l"])))}
    if word not in table:
        return draw(SCALARS[word])
    found = {name: draw(value(table, inside)) for name, inside in table[word].items() if draw(st.booleans())}
    for name in draw(st.sets(st.sampled_from(["new", "newer"]), max_size=1)):
        found[name] = draw(st.sampled_from([1, "text with blanks", {"a": {"b": 1}}, [{"c": "1.5"}], None]))
    return found


@st.composite
def declared(draw: st.DrawFn) -> dict[str, Any]:
    """A declaration that has no fault: every member of a governed type is in a field, or is -."""
    table = draw(shaped(("Rec", "One", "Two")))
    table["Rec"] = {"seq": "i", "owner": "s", "when": "s", **table["Rec"]}
    table["Meta"] = {"total": "i", "other": "s", "inside": "Two", "first": "s"}
    table["Two"] = {name: word.replace("p", "s") for name, word in table["Two"].items()}  # it stands beside the records
    governed = {"Rec", *draw(st.sets(st.sampled_from(["One", "Two"])))}
    always = {("Rec", "seq"), ("Rec", "owner"), ("Rec", "when")}
    others = [(kind, name) for kind in sorted(governed) for name, word in table[kind].items()
              if word != "-" and (kind, name) not in always]  # fmt: skip
    fields: list[list[str]] = [[f"{kind}/{name}" for kind, name in sorted(always)], [], [], []]
    for kind, name in others:
        marks = draw(st.sampled_from(["", "", "&"]))
        for number in draw(st.sets(st.integers(1, 3), min_size=1, max_size=2)):
            fields[number].append(f"{marks}{kind}/{name}")
    required: dict[str, Any] = {}
    for kind, name in others:
        if table[kind][name] in ("s", "x") and draw(st.booleans()):
            required[f"{kind}/{name}"] = draw(
                st.sampled_from([{"instead": "withheld"}, {"instead": "withheld"}, "drop_record", "keep"])
            )
    rows = [
        {"id": f"f.{number}", "label": WORDS, "short": WORDS, "structural": number == 0, "find": find,
         "drops_record": number > 0 and draw(st.integers(0, 9)) == 0}
        for number, find in enumerate(fields) if find
    ]  # fmt: skip
    form: dict[str, Any] = {
        "driver": "json",
        "calls": [{"name": "recs", "dataset": "own.recs", "records": "Rec", "path": "/recs"}],
        "records": {"Rec": {"at": "data.items", "account": "owner", "instant": "when"}},
        "around": {"Meta/total": "only-page", "Meta/inside": "same", "Meta/first": "not-before"},
        "required": required,
        "shapes": {
            "Answer": "data:Data meta:Meta note:s",
            "Data": "items:Rec* count:i",
            **{kind: line(members) for kind, members in table.items()},
        },
    }
    only = [name for kind, name in others if kind == "Rec" and table["Rec"][name] == "s"]
    if only and draw(st.booleans()):
        form["only"] = {f"Rec/{only[0]}": {"member": "when", "is": ["2026-01-10T00:00:00Z"]}}
    return {
        "id": "own", "sector": "telecom", "zone": "Europe/Paris",
        "datasets": [{"id": "own.recs", "category": "communications", "sensitivity": "sensitive", "label": WORDS,
                      "short": WORDS, "long": WORDS, "account": WORDS, "time": {**WORDS, "find": "Rec/when"},
                      "field": rows}],
        "format": form, "table": table,
    }  # fmt: skip


@st.composite
def answered(draw: st.DrawFn, table: dict[str, dict[str, str]]) -> dict[str, Any]:
    records = []
    for number in range(draw(st.integers(0, 5))):
        found = draw(value(table, "Rec"))
        found |= {"seq": number, "owner": draw(st.sampled_from(ACCOUNTS))}
        found["when"] = f"2026-0{draw(st.integers(1, 3))}-10T00:00:00Z"
        if draw(st.integers(0, 9)) == 0:
            found["when"] = None
        records.append(found)
    meta = draw(value(table, "Meta"))
    if "first" in meta:
        meta["first"] = draw(st.sampled_from(["2025-01-01", "2026-02-20", "soon"]))
    return {"data": {"items": records, "count": 5, "strange": 1}, "meta": meta, "note": "n"}


@st.composite
def agreed(draw: st.DrawFn) -> TrialTerms:
    edges = [None, span("2026-01-20", "Europe/Paris")[0], span("2026-02-20", "Europe/Paris")[0]]
    start = draw(st.sampled_from(edges))
    end = draw(st.sampled_from([edge for edge in edges if edge is None or start is None or edge > start]))
    return TrialTerms(
        fields=draw(st.none() | st.frozensets(st.sampled_from(["f.1", "f.2", "f.3"]))),
        window=Window(start, end),
        accounts=draw(st.sampled_from([(), ACCOUNTS[:1], ACCOUNTS[:2]])),
        records_max=draw(st.sampled_from([None, None, 1, 2])),
    )


def tried(document: dict[str, Any]) -> Tried:
    (found,) = trying.prepared(
        "own.toml", {key: each for key, each in document.items() if key != "table"}, catalogue
    ).formats
    return found


def run(document: dict[str, Any], answer: Any, terms: TrialTerms) -> Trial:
    of = tried(document)
    return of.run(of.form.calls["recs"], json.dumps(answer, ensure_ascii=False).encode(), terms)


def members(value: Any, path: str = "") -> Iterator[str]:
    """The place of every member, at any depth."""
    for name, inside in value.items() if isinstance(value, dict) else ():
        place = f"{path}.{name}" if path else name
        yield place
        yield from members(inside, place)
    for number, inside in enumerate(value) if isinstance(value, list) else ():
        yield from members(inside, f"{path}[{number}]")


def covers(row: str, place: str) -> bool:
    """Whether a reason for one place is a reason for another: the same, or around it."""
    return place == row or place.startswith((f"{row}.", f"{row}["))


def accounted(left: Any, right: Any, reasons: dict[str, list[Reason]]) -> None:
    there = set(members(right))
    for place in members(left):
        found = [why for row, each in reasons.items() if covers(row, place) for why in each]
        assert (place in there) != bool(found), (place, found)
        assert len(found) <= 1, (place, found)


def gone(rows: Any) -> dict[str, list[Reason]]:
    found: dict[str, list[Reason]] = {}
    for row in rows:
        if row.fate == "withheld":
            found.setdefault(row.path, []).append(row.reason)
    return found


@TOP
@given(st.data())
def test_every_member_is_in_the_apps_bytes_or_has_exactly_one_reason(data: st.DataObject) -> None:
    document = data.draw(declared())
    answer, terms = data.draw(answered(document["table"])), data.draw(agreed())
    trial = run(document, answer, terms)
    assert not trial.refusal, trial.refusal
    got = json.loads(trial.body)
    given_ = {record["seq"]: record for record in got["data"]["items"]}
    assert [each.number for each in trial.records] == list(range(1, len(answer["data"]["items"]) + 1))
    assert trial.counts.records == len(given_) == sum(each.given for each in trial.records)
    for record, fate in zip(answer["data"]["items"], trial.records, strict=True):
        assert (record["seq"] in given_) == fate.given, fate
        right = given_.get(record["seq"], {})
        reasons = gone(fate.rows) if fate.given else {name: [fate.reason] for name in record}
        accounted(record, right, reasons)  # type: ignore[arg-type]  # a reason where it is not given
        for row in fate.rows if fate.given else ():
            assert row.reason is None or row.reason.kind in REASONS.keys() - {"null"}
            assert (row.fate == "same") == (row.reason is None), row
    beside = {key: each for key, each in answer.items() if key != "data"} | {"data": {"count": 5, "strange": 1}}
    got["data"].pop("items")
    accounted({key: each for key, each in beside.items()}, got, gone(trial.around))


@TOP
@given(st.data())
def test_a_reason_is_true_the_field_that_it_names_would_give_the_member(data: st.DataObject) -> None:
    document = data.draw(declared())
    answer, terms = data.draw(answered(document["table"])), data.draw(agreed())
    trial = run(document, answer, terms)
    for fate in trial.records:
        for row in fate.rows if fate.given else ():
            if row.reason is None or row.reason.kind not in ("field", "shared"):
                continue
            named = [f"f.{number}" for number in range(1, 4) if f"f.{number}" in row.reason.text]
            more = [named] if row.reason.kind == "shared" else [[name] for name in named]
            for fields in more:
                wider = TrialTerms(
                    trial.granted | set(fields), frozenset(), terms.window, terms.accounts, terms.records_max
                )
                again = run(document, answer, wider).records[fate.number - 1]
                if again.given:
                    place = [each.reason for each in again.rows if each.path == row.path and each.fate == "withheld"]
                    assert all(why is not None and why.kind in ("only", "shared") for why in place), (
                        row,
                        fields,
                        place,
                    )


@TOP
@given(st.data())
def test_a_record_that_is_not_given_would_be_without_its_reason(data: st.DataObject) -> None:
    document = data.draw(declared())
    answer, terms = data.draw(answered(document["table"])), data.draw(agreed())
    trial = run(document, answer, terms)
    wide = {
        "period": TrialTerms(terms.fields, terms.without, Window(None, None), ACCOUNTS),
        "account": TrialTerms(terms.fields, terms.without, terms.window, ACCOUNTS),
        "limit": TrialTerms(terms.fields, terms.without, terms.window, terms.accounts),
        "drops": TrialTerms(None, terms.without, Window(None, None), ACCOUNTS),
    }
    for fate in trial.records:
        if fate.reason is None:
            continue
        if fate.reason.kind == "timeless":
            assert answer["data"]["items"][fate.number - 1]["when"] is None
        elif fate.reason.kind == "drops":
            assert run(document, answer, wide["drops"]).records[fate.number - 1].reason in (None, Reason.of("timeless"))
        else:
            assert run(document, answer, wide[fate.reason.kind]).records[fate.number - 1].given, fate


@TOP
@given(st.data())
def test_what_is_proposed_for_unknown_members_makes_them_known(data: st.DataObject) -> None:
    document = data.draw(declared())
    answer = data.draw(answered(document["table"]))
    trial = run(document, answer, TrialTerms())
    shapes = document["format"]["shapes"]
    for each in trial.unknown:
        shapes[each.kind] += f" {each.name}:{each.word}"
        assert not each.types.keys() & shapes.keys()
        shapes |= each.types
    fields = document["datasets"][0]["field"]
    governed = {selector.lstrip("&").partition("/")[0] for field in fields for selector in field["find"]}
    new = {
        f"{each.kind}/{each.name}" for each in trial.unknown if each.kind in governed and each.word.strip("*") != "-"
    }
    fields[0]["find"] = [*fields[0]["find"], *sorted(new)]
    again = run(document, answer, TrialTerms())
    assert not again.unknown and not again.refusal

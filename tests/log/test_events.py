"""Every kind of event: told in plain words in both languages, canonical bytes, facts held to the table."""

import json
import string
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import rfc8785
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import REASONS
from gateway.ground.web.translations import FOLDER, Translations
from gateway.house import House
from gateway.log import Event
from gateway.log.events import COMMON, EVENTS, OWN, TERMS, WHY
from gateway.log.record import canonical, commitment, instant
from gateway.log.sentences import Voice

PACKAGE = Path(__file__).parents[2] / "gateway"


class Names:
    """A catalogue of one organisation, one app, one type of data."""

    def __init__(self, **known: Mapping[str, str]) -> None:
        self.known = known

    def _find(self, identifier: str, places: Sequence[str] = ()) -> Mapping[str, str] | None:
        return self.known.get(identifier.replace("-", "_").replace(".", "_"))

    app = organisation = dataset = field = purpose = _find

    def person(self, person: str) -> str | None:
        return {"p-alice": "Alice Martin"}.get(person)


NAMES = Names(
    watt_coach={"en": "Watt Coach", "fr": "Watt Coach"},
    city_energy={"en": "City Energy", "fr": "Énergie de la Ville"},
    energy_electricity_usage={"en": "Hourly electricity use", "fr": "Consommation d’électricité"},
    interval_cost={"en": "Cost", "fr": "Coût"},
    energy_advice={"en": "Energy advice", "fr": "Conseil en énergie"},
)
TRANSLATIONS = Translations()


def voice(language: str) -> Voice:
    return Voice(language, TRANSLATIONS.of(language), ZoneInfo("Europe/Paris"), NAMES)


ACCESS = {
    "client": "watt-coach",
    "client_name": {"en": "Watt Coach", "fr": "Watt Coach"},
    "organisation": "city-energy",
    "datasets": ["energy.electricity.usage"],
    "period_from": "2026-02-28T23:00:00.000Z",
    "period_to": "2026-03-31T20:00:00.000Z",
    "records": 744,
    "fields_withheld": ["interval.cost", "interval.quality", "summary.amounts"],
    "present": False,
}


def told(kind: str, language: str = "en", actor: str = "person", **facts: Any) -> str:
    said = voice(language).tell(kind, actor, facts)
    return " ".join((said.sentence, *said.notes)).replace("\xa0", " ")  # no line begins with a French colon


def test_an_access_is_told_as_a_person_would_tell_it() -> None:
    assert told("access", actor="app", **ACCESS) == (
        "Watt Coach read your data at City Energy (hourly electricity use), 1 March 2026 to 31 March 2026: 744"
        " records. 3 kinds of details were withheld: you did not agree to them. This happened while you were away."
    )
    assert told("access", "fr", "app", **ACCESS) == (
        "Watt Coach a lu vos données chez Énergie de la Ville (consommation d’électricité), du 1er mars 2026 au 31 mars"
        " 2026 : 744 enregistrements. 3 types de détails n’ont pas été transmis : vous ne les aviez pas acceptés."
        " Cela s’est passé en votre absence."
    )


JULY = "2026-06-30T22:00:00Z"  # begins, in Paris


@pytest.mark.parametrize(
    ("start", "end", "english", "french"),
    [
        (
            "2026-06-30T22:00:00Z",
            "2026-09-30T22:00:00Z",
            "1 July 2026 to 30 September 2026",
            "1er juillet 2026 au 30 septembre",
        ),
        (JULY, "2026-09-30T22:00:01Z", "1 July 2026 to 1 October 2026", "1er juillet 2026 au 1er octobre"),
        (JULY, "2026-07-01T22:00:00Z", ", 1 July 2026: ", "1er juillet 2026"),
        (JULY, JULY, ", 1 July 2026: ", "1er juillet 2026"),
    ],
)
def test_a_period_that_ends_at_a_midnight_is_told_to_the_day_before(
    start: str, end: str, english: str, french: str
) -> None:
    facts = {**ACCESS, "period_from": start, "period_to": end}
    assert english in told("access", **facts)
    assert french in told("access", "fr", **facts)


def test_one_record_and_many_are_counted_in_the_right_number() -> None:
    assert "1 record." in told("access", **{**ACCESS, "records": 1})
    assert "0 records" in told("access", **{**ACCESS, "records": 0})
    assert "0 enregistrement." in told("access", "fr", **{**ACCESS, "records": 0})
    assert "1,440 records" in told("access", **{**ACCESS, "records": 1440})


def test_an_app_that_changed_its_name_is_called_what_it_was_called_then() -> None:
    assert told("consent_paused", client="watt-coach", client_name="Watt & Co").endswith("with Watt & Co.")
    assert told("consent_paused", client="gone-app").endswith("with gone-app.")
    assert told("consent_paused") == "You paused the sharing with an app."


def test_a_name_stored_in_one_language_is_said_in_the_readers_while_it_is_still_the_name() -> None:
    facts = {"client": "watt-coach", "organisation": "city-energy", "datasets": ["energy.electricity.usage"]}
    assert "Énergie de la Ville" in told("access", "fr", **facts, organisation_name="City Energy")
    assert "City Power" in told("access", "fr", **facts, organisation_name="City Power")


def test_a_guardian_is_named_as_a_guardian() -> None:
    facts = {"client": "watt-coach", "guardian": "p-alice"}
    assert told("consent_given", actor="guardian", **facts) == (
        "Alice Martin, as your guardian, agreed to a sharing with Watt Coach."
    )
    assert told("consent_given", actor="guardian", client="watt-coach").startswith("Your guardian agreed")


def test_refusals_that_were_only_counted_are_told_as_one() -> None:
    facts = {"client": "watt-coach", "organisation": "city-energy", "reason": "frequency", "more": 1234}
    assert told("denied", actor="app", **facts) == (
        "In the same minute, Watt Coach made 1,234 more requests. Nothing was given."
    )
    assert told("denied", "fr", "app", **{**facts, "more": 1}) == (
        "Dans la même minute, Watt Coach a fait 1 autre demande. Rien n’a été donné."
    )


def test_refusals_that_were_only_counted_are_told_with_each_reason() -> None:
    facts = {"client": "watt-coach", "more": 4}
    assert told("denied", actor="app", **facts, reasons={"paused": 1, "frequency": 3}) == (
        "In the same minute, Watt Coach made 4 more requests. Nothing was given: it asked more often than you agreed to"
        " (3 times) and the sharing is paused (1 time)."
    )
    assert told("denied", "fr", "app", **facts, reasons={"paused": 4}) == (
        "Dans la même minute, Watt Coach a fait 4 autres demandes. Rien n’a été transmis : le partage est en pause."
    )


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_refusal_names_its_reason_in_words(reason: str, language: str) -> None:
    said = told("denied", language, "app", client="watt-coach", organisation="city-energy", reason=reason)
    why = TRANSLATIONS.of(language).gettext(WHY[reason])
    assert why in said and reason not in set(said.replace(".", " ").split()) & {"no_consent", "not_linked", "max_uses"}


@cache
def verbs() -> str:
    """All of gateway/ but the table itself."""
    files = (path for path in PACKAGE.rglob("*.py") if path.parts[-2:] != ("log", "events.py"))
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_every_event_is_recorded_by_some_verb(kind: str) -> None:
    assert f'"{kind}"' in verbs(), "it has a sentence, and nothing records it: log.record(session, Event(kind, …))"


def test_the_reasons_told_are_exactly_those_of_the_closed_list() -> None:
    assert set(WHY) == set(REASONS)


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("facts", [{}, ACCESS], ids=["bare", "full"])
def test_every_kind_is_told_whatever_facts_it_has(kind: str, language: str, facts: dict[str, Any]) -> None:
    for actor in ("person", "guardian", "app", "organisation", "operator", "system"):
        said = voice(language).tell(kind, actor, facts)
        assert said.sentence[0].isupper() and said.sentence.endswith(".")
        assert "{" not in said.sentence and "  " not in said.sentence and "_" not in said.sentence


@pytest.mark.parametrize("kind", EVENTS)
def test_every_wording_asks_only_for_what_is_there_to_say(kind: str) -> None:
    known = set(voice("en")._placeholders("person", {}))
    for wording in EVENTS[kind].wordings:
        used = {name for _, name, _, _ in string.Formatter().parse(wording.text) if name}
        assert used | set(wording.needs) <= known
    last = EVENTS[kind].wordings[-1]
    assert not last.when or not last.needs


def test_glossary_words_that_people_are_never_told() -> None:
    never = ("consent", "revoke", "withdraw", "client", "scope", "token", "traces", "logs", "permission")
    for kind in EVENTS.values():
        for wording in kind.wordings:
            assert not set(wording.text.lower().replace(".", " ").split()) & set(never)


def test_terms_are_told_in_words_with_dates_and_names() -> None:
    assert voice("en").term("frequency") == "how often"
    assert voice("fr").value("2026-03-01T00:00:00Z", ()) == "1er mars 2026"
    assert voice("en").value("interval.cost", ()) == "cost"
    assert voice("en").value("4 per day", ()) == "4 per day"
    assert TERMS["dataset"] == "type of data"


# ---- French is complete

GATEWAY = Path(__file__).parents[2] / "gateway"
KEYWORDS = {"N_": None, "many": (1, 2), "_": None, "gettext": None, "ngettext": (1, 2)}


def texts() -> set[str | tuple[str, str]]:
    """The message ids of the room, found where they are written; (one, more) for those that count."""
    found: set[str | tuple[str, str]] = set()
    for folder, method in ((GATEWAY / "log", "python"), (GATEWAY / "ground" / "web" / "templates" / "log", "jinja2")):
        pattern = {"python": "**.py", "jinja2": "**.html"}[method]
        options = {pattern: {"newstyle_gettext": "true", "trimmed": "false"}}
        for _, _, message, _, _ in extract_from_dir(folder, [(pattern, method)], options, KEYWORDS):
            found.add(tuple(message[:2]) if isinstance(message, tuple) else message)
    return found


def test_every_text_of_the_room_has_its_french_and_no_french_is_left_over() -> None:
    with (FOLDER / "fr" / "LC_MESSAGES" / "log.po").open("rb") as file:
        catalogue = read_po(file, locale="fr")
    written = {message.id: message.string for message in catalogue if message.id}
    assert set(written) == texts()
    for source, french in written.items():
        pairs = zip(source, french, strict=True) if isinstance(source, tuple) else [(source, french)]
        for one, other in pairs:
            fields = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (one, other)]
            assert other and fields[0] == fields[1], source


# ---- bytes

facts_of_a_kind = st.dictionaries(
    st.sampled_from(sorted(COMMON)),
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1),
        st.booleans(),
        st.none(),
        st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
        st.dictionaries(st.sampled_from(["fr", "en"]), st.text(st.characters(exclude_categories=["Cs"]))),
    ),
)


@given(facts_of_a_kind)
def test_entries_are_canonical_json(facts: dict[str, Any]) -> None:
    assert canonical(facts) == rfc8785.dumps(facts)


@pytest.mark.parametrize("kind", EVENTS)
def test_every_kind_is_canonical_json_with_all_its_facts(kind: str) -> None:
    facts: dict[str, Any] = {name: f'é"\\\u0007{name}' for name in COMMON | EVENTS[kind].members | OWN}
    assert canonical(facts) == rfc8785.dumps(facts)


def test_facts_never_take_the_place_of_what_the_log_writes_itself() -> None:
    for kind in EVENTS:
        assert not (COMMON | EVENTS[kind].members) & OWN


def test_the_bytes_of_an_entry_are_those_that_were_agreed_on() -> None:
    """Golden: others compute the same commitment from the same payload."""
    payload = canonical({"v": 1, "event": "access", "time": instant(datetime(2026, 4, 1, tzinfo=UTC)), "records": 744})
    assert payload == b'{"event":"access","records":744,"time":"2026-04-01T00:00:00.000Z","v":1}'
    assert commitment(bytes(32), payload).hex() == "d1f6ca0fc76394eac020483c81ee58faf163e97803047226908ed9f08b4ac56c"


@pytest.mark.parametrize("fact", ["app", "balance", "user_seq", "time", "iban"])
def test_a_fact_outside_the_table_is_refused(house: House, fact: str) -> None:
    with pytest.raises(ValueError, match=fact), house.store.write() as session:
        house.log.record(session, Event("access", "alice", datetime.now(UTC), facts={fact: "1"}))


def test_an_unknown_kind_is_refused(house: House) -> None:
    with pytest.raises(KeyError), house.store.write() as session:
        house.log.record(session, Event("acess", "alice", datetime.now(UTC)))


def test_each_entry_names_the_one_before_it(house: House, tmp_path: Path) -> None:
    with house.store.write() as session:
        for _ in range(3):
            house.log.record(session, Event("sign_in", "alice", datetime.now(UTC)))
        rows = session.connection().exec_driver_sql(
            "SELECT e.seq, salt, sealed, commitment, key_sealed FROM logentry e JOIN logchain USING (person_id)"
        )
        previous = bytes(32)
        for seq, salt, sealed, committed, key in rows.all():
            payload = house.log.read("alice", seq, sealed, key)
            said = json.loads(payload)
            assert commitment(salt, payload) == committed
            assert (said["user_seq"], said["user_prev"]) == (seq, previous.hex())
            previous = committed

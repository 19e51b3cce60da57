"""French as it is written: one apostrophe, one pair of words for linking, in every text that a person reads."""

import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polib
import pytest

import examples
from examples.apps import clear_budget, watt_coach, words
from examples.organisations import city_energy_pages, linking
from gateway.errors import GatewayError
from gateway.ground.web.languages import collated, written_day, written_moment
from gateway.ground.web.translations import FOLDER
from gateway.settings import Settings

EXAMPLES = Path(examples.__file__).parent
CATALOGUES = sorted((FOLDER / "fr" / "LC_MESSAGES").glob("*.po"))
NAMES = ("app", "guardian", "name", "operator", "organisation", "organisations", "ward")  # what stands for a name


def _of_catalogues() -> Iterator[tuple[str, str]]:
    for path in CATALOGUES:
        for entry in polib.pofile(str(path)):
            for text in (entry.msgstr, *entry.msgstr_plural.values()):
                yield f"{path.name}: {entry.msgid}", text


def _of_files() -> Iterator[tuple[str, str]]:
    for path in [*sorted(Settings().policies.rglob("*.toml")), *sorted(EXAMPLES.rglob("*.toml"))]:
        for text in _french(tomllib.loads(path.read_text(encoding="utf-8"))):
            yield path.name, text


def _french(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from [inner] if name == "fr" and isinstance(inner, str) else _french(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _french(inner)


def _of_examples() -> Iterator[tuple[str, str]]:
    apps = (words.COMMON, words.REFUSALS, watt_coach.WORDS, clear_budget.WORDS)
    for table in (*apps, city_energy_pages._WORDS, linking._WORDS):
        for name, said in table.items():
            yield name, said["fr"]


def _wrong(pattern: str) -> list[tuple[str, str]]:
    everything = [*_of_catalogues(), *_of_files(), *_of_examples()]
    assert len(CATALOGUES) >= 8 and len(everything) > 500
    return [(where, text) for where, text in everything if re.search(pattern, text)]


def test_the_apostrophe_is_the_typographic_one() -> None:
    assert _wrong("'") == []


def test_linking_and_unlinking_have_one_pair_of_words() -> None:
    """Associer, dissocier, and no second pair beside them."""
    assert _wrong(r"(?i)\b(re|dé)?li(er|ez|ée?s?)\b(?! à)|\breli(e|ons)\b") == []
    assert _wrong(r"(?i)\bassoci(er|é)") and _wrong(r"(?i)\bdissoci(er|é)")


def test_no_name_stands_where_french_would_shorten_the_word_before_it() -> None:
    """Énergie de la Ville: "que Énergie" would have to be "qu’Énergie", so no text has "que" or "de" before a name."""
    assert _wrong(rf"(?i)\b(de|que|jusque|lorsque|puisque) (%\(|\{{)({'|'.join(NAMES)})\b") == []


def test_no_text_writes_two_genders_into_one_word() -> None:
    assert _wrong(r"\w·\w") == []


@pytest.mark.parametrize(
    ("form", "text"), [("medium", "1er oct. 2026"), ("long", "1er octobre 2026"), ("full", "jeudi 1er octobre 2026")]
)
def test_the_first_of_a_month_is_an_ordinal(form: str, text: str) -> None:
    assert written_day(date(2026, 10, 1), form, "fr") == text
    assert "1er" not in written_day(date(2026, 10, 11), form, "fr") + written_day(date(2026, 10, 1), form, "en")
    assert written_moment(datetime(2026, 10, 1, 1, 1, tzinfo=UTC), "fr").startswith("1er octobre 2026")


def test_a_letter_with_an_accent_is_sorted_beside_the_one_without() -> None:
    names = ["Zébulon", "Énergie de la Ville", "eau", "Banque du Port", "Fournil"]
    assert sorted(names, key=collated) == ["Banque du Port", "eau", "Énergie de la Ville", "Fournil", "Zébulon"]


def _kinds(of: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    for kind in of.__subclasses__():
        yield kind
        yield from _kinds(kind)


def test_each_error_that_a_page_tells_is_told_in_french() -> None:
    told = {entry.msgid for path in CATALOGUES for entry in polib.pofile(str(path)) if entry.msgstr}
    assert [kind.__name__ for kind in {GatewayError, *_kinds()} if kind.public not in told] == []

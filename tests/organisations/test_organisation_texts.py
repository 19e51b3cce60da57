"""Every sentence of the room is there in both languages, and what a page says of sharings is what was agreed."""

import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po
from organisations_world import ROOT, Browser, Running, World

from gateway.apps.tables import App
from gateway.consent.tables import Consent, Terms
from gateway.consent.terms import canonical, sha256
from gateway.ground.web.translations import FOLDER, Translations
from gateway.organisations.sentences import FAILED, failed

KEYWORDS: Any = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}


def texts() -> set[str]:
    """Message ids in templates and code, as written."""
    found = set()
    for folder, pattern, method in (
        (ROOT / "gateway/ground/web/templates/organisations", "*.html", "jinja2.ext:babel_extract"),
        (ROOT / "gateway/organisations", "*.py", "python"),
    ):
        for path in sorted(folder.glob(pattern)):
            for _, message, *_rest in extract_from_file(method, str(path), keywords=KEYWORDS):
                found.add(message if isinstance(message, str) else message[0])
    return found


def test_french_is_complete_and_has_nothing_stale() -> None:
    with Path(FOLDER / "fr" / "LC_MESSAGES" / "organisations.po").open("rb") as source:
        catalogue = read_po(source)
    ids = {m.id if isinstance(m.id, str) else m.id[0]: m for m in catalogue if m.id}
    assert set(ids) == texts()
    for message in ids.values():
        whole = [message.string] if isinstance(message.string, str) else list(message.string or ())
        assert all(whole) and not message.fuzzy
        names = set(re.findall(r"%\(\w+\)s|\{\w+\}", message.id if isinstance(message.id, str) else message.id[1]))
        assert names == set(re.findall(r"%\(\w+\)s|\{\w+\}", whole[-1])), message.id


@pytest.mark.parametrize("reason", [*FAILED, "something else"])
def test_every_reason_has_a_sentence_with_the_name_in_it(reason: str) -> None:
    translations = Translations()
    for language in ("fr", "en"):
        status, sentence = failed(reason, "Ô <b>", translations.of(language))
        assert "Ô <b>" in sentence and sentence.endswith(".")
        assert 200 <= status < 600


def agreed(browser: Browser, world: World, consent: str, organisation: str, state: str = "active") -> None:
    """A consent with terms as short as the page needs."""
    terms = {
        "app": {"name": {"fr": "Conseil <Watt>", "en": "Watt <Coach>"}},
        "purpose": {"title": {"fr": "Conseil", "en": "Advice"}},
        "items": [{"organisation": organisation, "dataset": "d", "accounts": ["r"], "granted": True}],
    }
    text = canonical(terms)
    with world.house.store.write() as session:
        session.merge(
            App(
                client_id="watt",
                metadata_={},
                metadata_sha256="",
                auth_method="none",
                registered_at=world.now,
                changed_at=world.now,
            )
        )
        session.flush()
        session.add(
            Consent(
                id=consent,
                person_id=browser.person,
                app_id="watt",
                purpose="p",
                state=state,
                version=1,
                asked="{}",
                created_at=world.now,
            )  # fmt: skip
        )
        session.flush()
        session.add(Terms(consent_id=consent, version=1, json_=text, sha256=sha256(text), created_at=world.now))


def test_unlinking_says_which_sharings_stop_working(
    world: World, bank: Running, alice: Browser, mallory: Browser
) -> None:
    alice.links_by_number(bank, "HB-2001")
    agreed(alice, world, "hers", "harbour-bank")
    agreed(alice, world, "paused", "harbour-bank", "paused")
    agreed(alice, world, "elsewhere", "city-energy")
    agreed(alice, world, "over", "harbour-bank", "ended")
    agreed(mallory, world, "anothers", "harbour-bank")
    page = alice.get("/organisations/harbour-bank/unlink").text
    assert re.findall(r'href="/sharings/(\w+)"', page) == ["hers", "paused"]
    assert "Watt &lt;Coach&gt;, for: Advice" in page
    assert 'href="/sharings/hers"' in alice.post("/organisations/harbour-bank/unlink").text
    with world.house.store.read() as session:
        consent = session.get(Consent, "hers")
        assert consent and consent.state == "active"  # it stays; its calls are refused while nothing is linked

"""Words: complete in both languages, plain, neutral, one for each thing (reference "people", sections 3 and 9)."""

import ast
import re
from pathlib import Path

import polib
import pytest
from jinja2 import Environment

import gateway
from gateway.catalogue import Catalogue
from gateway.consent import words
from gateway.ground.web import templates, translations
from gateway.screen import rendering
from tests.worlds.consent import CLEAR_BUDGET, Visitor, World

PO = Path(translations.FOLDER) / "fr" / "LC_MESSAGES"
ROOMS = ("consent", "screen", "sharings")
Message = str | tuple[str, str]
TEMPLATES = Path(templates.__file__).parent / "templates"
CODE = Path(gateway.__file__).parent
FOLDERS = [TEMPLATES / name for name in ROOMS]
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")
# Nothing that pushes, and no second word for one thing
PUSHING = {
    "fr": ["seulement", "malheureusement", "profitez", "recommandé", "dépêchez", "révoquer", "permission", "traces"],
    "en": ["unfortunately", "enjoy", "recommended", "hurry", "revoke", "permission", "grant access", "withdraw"],
}


# ---- every text these rooms show to people, taken from where it is written: templates, and Python's N_ and N2_


def from_templates() -> set[Message]:
    paths = [path for folder in FOLDERS for path in sorted(folder.glob("*.html"))]
    return set().union(*(of_template(str(path.relative_to(TEMPLATES))) for path in paths))


def of_template(name: str) -> set[Message]:
    environment = Environment(extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True)
    environment.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    found: set[Message] = set()
    for _, function, message in environment.extract_translations((TEMPLATES / name).read_text()):  # type: ignore[attr-defined]
        if function == "ngettext":
            found.add((message[0], message[1]))
            continue
        text = message[0] if isinstance(message, tuple) else message  # a tuple: with placeholders
        if text:  # else: a text that comes from the code, and is found there
            found.add(text)
    return found


def from_code() -> set[Message]:
    found: set[Message] = set()
    for path in sorted(path for room in ROOMS for path in (CODE / room).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            literals = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            if node.func.id == "N_" and len(literals) == 1:
                found.add(literals[0])
            if node.func.id == "N2_" and len(literals) == 2:
                found.add((literals[0], literals[1]))
            if node.func.id == "Problem" and isinstance(node.args[-1], ast.Constant):  # read as it is written
                found.add(node.args[-1].value)
    return found


def all_messages() -> set[Message]:
    return from_templates() | from_code()


# ---- the tests


@pytest.fixture(scope="module")
def french() -> polib.POFile:
    found = polib.POFile()
    for room in ROOMS:
        found.extend(polib.pofile(str(PO / f"{room}.po")))
    return found


def said(message: Message) -> str:
    return message if isinstance(message, str) else message[0]


def test_every_text_is_there_in_french_and_none_is_left_over(french: polib.POFile) -> None:
    assert {entry.msgid for entry in french if entry.translated()} == {said(message) for message in all_messages()}


def test_each_text_stands_in_one_file(french: polib.POFile) -> None:
    assert len({entry.msgid for entry in french}) == len(french)


def test_the_hash_of_the_screens_words_covers_every_word_of_the_screen() -> None:
    """A changed translation changes `version_sha256`; one of another page does not."""
    covered = {entry.msgid for room in rendering.ROOMS for entry in polib.pofile(str(PO / f"{room}.po"))}
    shown = {said(message) for message in of_template(rendering.TEMPLATE)}
    assert shown and shown <= covered


def test_placeholders_are_the_same_in_both_languages(french: polib.POFile) -> None:
    for entry in french:
        for text in [entry.msgstr] if entry.msgstr else entry.msgstr_plural.values():
            allowed = set(PLACEHOLDER.findall(entry.msgid)) | set(PLACEHOLDER.findall(entry.msgid_plural))
            assert set(PLACEHOLDER.findall(text)) <= allowed
            if not entry.msgid_plural:
                assert set(PLACEHOLDER.findall(text)) == allowed


def test_a_text_shared_with_another_room_says_the_same_there(french: polib.POFile) -> None:
    for path in sorted(PO.glob("*.po")):
        for entry in polib.pofile(str(path)):
            ours = french.find(entry.msgid)
            if ours is not None:
                texts = [text.replace("\xa0", " ") for text in (ours.msgstr, entry.msgstr)]
                assert texts[0] == texts[1], f"{path.name}: {entry.msgid}"


def test_french_sentences_have_twenty_words_at_most(french: polib.POFile, catalogue: Catalogue) -> None:
    ours = [text for entry in french for text in [entry.msgstr, *entry.msgstr_plural.values()]]
    theirs = [d.short["fr"] for d in catalogue.datasets.values()] + [d.long["fr"] for d in catalogue.datasets.values()]
    for text in ours + theirs + [purpose.text["fr"] for purpose in catalogue.purposes.values()]:
        for sentence in re.split(r"[.?!;:]\s", text):
            assert len(sentence.replace("\xa0", " ").split()) <= 20, sentence


def test_no_text_of_the_catalogue_promises_a_box_that_is_not_there(catalogue: Catalogue) -> None:
    """Boxes stand at types of data and accounts; nobody ticks single details."""
    for dataset in catalogue.datasets.values():
        about = [
            dataset.short,
            dataset.long,
            *(part for f in dataset.fields.values() for part in (f.short, f.comes_with)),
        ]
        for text in about:
            assert not text or not re.search(r"\b(tick\w*|coch\w*)\b", " ".join(text.values()), re.IGNORECASE), text


def test_whoever_is_insured_is_not_called_a_man(catalogue: Catalogue) -> None:
    accounts = {d.account["fr"] for d in catalogue.datasets.values() if d.category == "health"}
    assert accounts == {"personne assurée"}
    for dataset in catalogue.datasets.values():
        texts = [dataset.label, dataset.short, dataset.long, *(field.short for field in dataset.fields.values())]
        assert not any(re.search(r"\bassuré\b", text["fr"]) for text in texts)


def test_no_word_pushes_and_no_thing_has_two_words(french: polib.POFile) -> None:
    texts = {
        "en": [entry.msgid for entry in french],
        "fr": [text for entry in french for text in [entry.msgstr, *entry.msgstr_plural.values()]],
    }
    for language, banned in PUSHING.items():
        for text in texts[language]:
            assert not [word for word in banned if re.search(rf"\b{word}\b", text, re.IGNORECASE)], text


@pytest.mark.parametrize(
    ("english", "french_text"),
    [
        ("Data sharing", "Mes partages de données"),
        ("Refuse", "Refuser"),
        ("Allow", "Autoriser"),
        ("Required", "Nécessaire"),
        ("Optional", "Facultatif"),
        ("once only", "une seule fois"),
        ("View", "Voir"),
        ("Stop sharing", "Arrêter le partage"),
        ("Pause everything", "Tout mettre en pause"),
        ("Stop everything", "Tout arrêter"),
        ("Requested", "Demandé"),
        ("Active", "Actif"),
        ("Paused", "En pause"),
        ("Refused", "Refusé"),
        ("Ended", "Terminé"),
        ("stopped by you", "arrêté par vous"),
        ("end date reached", "date de fin atteinte"),
        ("replaced", "remplacé"),
        ("app disabled", "application désactivée"),
        ("organisation disconnected", "organisation déconnectée"),
        ("suspended by the organisation", "suspendu par l’organisation"),
        ("suspended by the service", "suspendu par le service"),
        ("While you are away", "En votre absence"),
        ("Technical details", "Détails techniques"),
        ("(text supplied in English)", "(texte fourni en anglais)"),
    ],
)
def test_the_fixed_labels_are_as_they_were_fixed(french: polib.POFile, english: str, french_text: str) -> None:
    entry = french.find(english)
    assert entry is not None and entry.msgstr == french_text


def test_every_state_reason_duration_and_event_has_a_word() -> None:
    from gateway.consent.rules import DURATIONS, Act, EndReason, State

    assert set(words.STATES) == set(State)
    assert set(words.REASONS) == set(EndReason)
    assert set(words.DURATIONS) == {key for key, _ in DURATIONS}
    assert {type_ for type_, _ in words.HISTORY} == set(Act)


@pytest.mark.parametrize(
    "path", sorted(path for folder in FOLDERS for path in folder.glob("*.html")), ids=lambda p: p.name
)
def test_templates_hold_no_style_no_script_and_no_bare_text(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert "style=" not in source and "<script" not in source and not re.search(r"\son\w+=\"", source)
    bare = re.sub(r"\{%-?\s*trans.*?endtrans\s*-?%\}|\{#.*?#\}", "", source, flags=re.DOTALL)
    bare = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|<[^>]*>", " ", bare, flags=re.DOTALL)
    assert not re.findall(r"[A-Za-z]{2,}", bare.replace("SHA-256", "")), bare


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_page_speaks_one_language(world: World, alice: Visitor, language: str) -> None:
    alice.language = language
    consent = world.asks(alice, CLEAR_BUDGET)
    alice.allows(consent, **{"accounts:harbour-bank": ["ref-current"]})
    other = {"en": ("chez", "vous", "partage"), "fr": ("sharing", "your", "from")}[language]
    for path in ("/sharings", "/sharings?by=data", f"/sharings/{consent}", f"/sharings/{consent}/stop"):
        text = alice.gets(path).closed_text().casefold()
        assert not [word for word in other if re.search(rf"\b{word}\b", text)], path

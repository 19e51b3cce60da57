"""Which language; that French is complete; that numbers agree."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polib
import pytest
from jinja2 import ChoiceLoader, DictLoader
from jinja2.ext import babel_extract
from starlette.requests import Request
from web_world import NOW, World

import gateway
from gateway.ground.web import templates
from gateway.ground.web.languages import choose_language
from gateway.ground.web.translations import FOLDER, Translations
from gateway.settings import Settings

GATEWAY = Path(gateway.__file__).parent
OURS = ("web", "people")


def _request(accepted: str = "", switched: str = "") -> Request:
    fields = (("accept-language", accepted), ("cookie", f"__Host-aval-language={switched}" if switched else ""))
    return Request({"type": "http", "headers": [(name.encode(), text.encode()) for name, text in fields if text]})


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("fr", "fr"),
        ("fr-CA,en;q=0.5", "fr"),
        ("de, fr;q=0.4, en; q=0.8", "en"),
        ("en;q=0,fr;q=0.1", "fr"),
        ("de,it", "en"),
        ("", "en"),
        ("fr;q=nan,en;q=0.1", "en"),
        ("fr;q=9,en;q=0.1", "en"),
        (";;;,,,=", "en"),
        ("*", "en"),
        ("fr;level=1", "en"),
        (",".join(["x"] * 5000) + ",fr", "en"),
    ],
)
def test_the_browsers_wish(accepted: str, chosen: str) -> None:
    assert choose_language(_request(accepted), Settings(), None) == chosen


def test_the_switch_goes_before_the_app_before_the_person_before_the_browser() -> None:
    settings = Settings()
    assert choose_language(_request("en"), settings, "fr") == "fr"
    assert choose_language(_request("en"), settings, "en", ui_locales="de fr-FR") == "fr"
    assert choose_language(_request("en", switched="en"), settings, "fr", ui_locales="fr") == "en"
    assert choose_language(_request("en", switched="xx"), settings, "fr") == "fr"


def test_zero_and_one_are_singular_in_french() -> None:
    french = Translations().of("fr")
    told = [french.ngettext("active sharing", "active sharings", n) for n in (0, 1, 2)]
    assert told == ["partage actif", "partage actif", "partages actifs"]


def test_dates_are_written_as_people_write_them(world: World) -> None:
    seen = {}
    for language in ("fr", "en"):
        request = Request({"type": "http", "headers": [], "path": "/", "query_string": b"", "server": ("x", 1)})
        context: Any = SimpleNamespace(house=world.house, language=language, request=request, caller=None, csrf="x")
        environment = templates.environment(world.house.translations.of(language))
        text = "{{ date(at) }} | {{ moment(at) }} | {{ date(none) }} | {{ date(at.date()) }}"
        with_probe = ChoiceLoader([DictLoader({"probe": text}), environment.loader or DictLoader({})])
        environment.loader = with_probe
        seen[language] = templates.render(context, "probe", at=NOW).replace("\u202f", " ")
    assert seen["fr"] == "4 mai 2026 | 4 mai 2026, 11:00 |  | 4 mai 2026"
    assert seen["en"] == "4 May 2026 | 4 May 2026, 11:00 |  | 4 May 2026"


# ---- completeness


def _texts_of_templates() -> set[str]:
    found = set()
    templates = [
        GATEWAY / "ground/web/templates" / name
        for name in ("base.html", "error.html", "documents.html", "document.html")
    ]
    for path in [*templates, *sorted((GATEWAY / "ground/web/templates/people").glob("*.html"))]:
        with path.open("rb") as source:
            for _line, _name, message, _comments in babel_extract(source, ("_", "gettext", "ngettext"), [], {}):
                first = message if isinstance(message, str) else message[0] if message else None
                if first:
                    found.add(first)
    return found


def _texts_of_code() -> set[str]:
    found = set()
    for path in [
        *sorted((GATEWAY / "people").glob("*.py")),
        GATEWAY / "errors.py",
        GATEWAY / "ground/store/contract.py",
        *(GATEWAY / "ground/web").glob("*.py"),
    ]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "N_":
                found.add(str(ast.literal_eval(node.args[0])))
            elif isinstance(node, ast.keyword) and node.arg == "say" and isinstance(node.value, ast.Constant):
                found.add(str(node.value.value))
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "public":
                found.add(str(ast.literal_eval(node.value)))
            elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "public" and node.value:
                found.add(str(ast.literal_eval(node.value)))
    return found


def _french() -> dict[str, polib.POEntry]:
    entries = [entry for name in OURS for entry in polib.pofile(str(FOLDER / "fr" / "LC_MESSAGES" / f"{name}.po"))]
    return {entry.msgid: entry for entry in entries}


def test_every_text_has_its_french_and_no_french_is_left_over() -> None:
    texts, french = _texts_of_templates() | _texts_of_code(), _french()
    assert texts - french.keys() == set()
    assert french.keys() - texts == set()
    for entry in french.values():
        assert "fuzzy" not in entry.flags
        assert all(entry.msgstr_plural.values()) if entry.msgid_plural else entry.msgstr, entry.msgid


def test_placeholders_are_the_same_in_both() -> None:
    for entry in _french().values():
        for told in [entry.msgstr, *entry.msgstr_plural.values()]:
            if told:
                assert set(re.findall(r"%\(\w+\)\w", told)) == set(re.findall(r"%\(\w+\)\w", entry.msgid)), entry.msgid


NEVER = {
    "fr": ("consentement", "révoqu", "connexion aux", "scope", "client ", "logs"),
    "en": ("revoke", "scope", "client "),
}
STEERING = ("malheureusement", "profitez", "unfortunately", "don't miss", "hurry")


def test_the_words_are_those_of_the_glossary() -> None:
    french = _french()
    assert french["Data sharing"].msgstr == "Mes partages de données"
    assert french["Access log"].msgstr == "Journal des accès"
    for entry in french.values():
        told = " ".join([entry.msgstr, *entry.msgstr_plural.values()]).lower()
        assert not [word for word in (*NEVER["fr"], *STEERING) if word in told], told
        assert not [word for word in (*NEVER["en"], *STEERING) if word in entry.msgid.lower()], entry.msgid


def test_french_sentences_are_short() -> None:
    for entry in _french().values():
        for sentence in re.split(r"[.?!:;] ", entry.msgstr):
            assert len(sentence.split()) <= 22, sentence

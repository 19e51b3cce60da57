"""`aval apps preview`: the page people would see, before anybody is asked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lxml.html
import pytest
from cli_run import APPS, ORGANISATIONS, Aval

Run = Callable[..., Aval]
ASKED = {
    "type": "data_access",
    "locations": ["http://localhost:8400/data/city-energy"],
    "datatypes": ["energy.electricity.usage"],
    "actions": ["read"],
    "purpose": "energy-advice",
    "period": {"history": "P13M", "future": True},
    "valid_for": "P6M",
    "retention": "P1M",
}


@pytest.fixture
def previews(aval: Run, tmp_path: Path) -> Callable[..., tuple[Aval, Path]]:
    aval("organisations", "add", ORGANISATIONS / "city-energy.toml", "--base-url", "http://localhost:8401")
    assert aval("apps", "add", APPS / "watt-coach.toml").code == 0

    def run(details: Any, *more: str) -> tuple[Aval, Path]:
        request, out = tmp_path / "request.json", tmp_path / "page.html"
        request.write_text(details if isinstance(details, str) else json.dumps(details))
        return aval("apps", "preview", "watt-coach", "--request", request, "--out", out, *more), out

    return run


@pytest.mark.parametrize(
    ("language", "title", "buttons"),
    [
        ("en", "Watt Coach asks to read your data at City Energy", ["Refuse", "Allow"]),
        ("fr", "Watt Coach demande à lire vos données chez Énergie de la Ville", ["Refuser", "Autoriser"]),
    ],
)
def test_the_preview_is_the_screen_itself_with_an_invented_person(
    previews: Callable[..., tuple[Aval, Path]], language: str, title: str, buttons: list[str]
) -> None:
    done, out = previews({"authorization_details": [ASKED]}, "--lang", language)
    assert (done.code, done.out) == (0, f"{out}: written\n"), done.err
    page = lxml.html.fromstring(out.read_text())
    assert " ".join(page.xpath("//h1")[0].text_content().split()) == title
    said = [" ".join(button.text_content().split()) for button in page.xpath("//button[@name='decision']")]
    assert [one for one in said if one] == buttons
    assert "Camille Martin" in page.text_content()
    assert not page.xpath("//link[@rel='stylesheet']") and page.xpath("//style")


def test_a_request_the_gateway_would_refuse_says_what_to_change(previews: Callable[..., tuple[Aval, Path]]) -> None:
    done, out = previews([{**ASKED, "retention": "P5Y"}])
    assert done.code == 1 and not out.exists()
    assert "retention: above the purpose's cap; asked: P5Y; allowed: P12M" in done.err


@pytest.mark.parametrize("text", ["{", "{}", "7", '{"authorization_details": {}}'])
def test_a_file_that_is_no_request_is_told_so(previews: Callable[..., tuple[Aval, Path]], text: str) -> None:
    done, out = previews(text)
    assert done.code == 1 and not out.exists() and "request.json: " in done.err


def test_an_unknown_app_or_language_or_file_is_told_so(
    aval: Run, previews: Callable[..., tuple[Aval, Path]], tmp_path: Path
) -> None:
    assert previews([ASKED], "--lang", "xx")[0].code == 2
    (tmp_path / "request.json").write_text("[]")
    out = tmp_path / "page.html"
    assert aval("apps", "preview", "nobody", "--request", tmp_path / "request.json", "--out", out).code == 2
    assert aval("apps", "preview", "watt-coach", "--request", tmp_path / "none.json", "--out", out).code == 2

"""What the documents name is there: files, folders, names inside of files, make targets, commands, settings, links."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from blocks import DOCUMENTS, ROOT, make_targets

from gateway.cli import app
from gateway.cli.reference import sections
from gateway.settings import NO_SETTINGS, Settings

BASES = (ROOT, ROOT / "gateway")  # a room is called by its name alone
QUOTED = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*(?:/|\.(?:py|toml|po|md|svg|json|html|png|lock))")
WRITTEN = {".demo/", "results/latest.json"}  # what is there only after something was run
BESIDE = {"call.py", "__init__.py", "conftest.py"}  # named in a sentence about its folder


def named(document: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    yield from QUOTED.findall(text)


def exists(path: str) -> bool:
    return any(True for base in BASES for _ in base.glob(path.rstrip("/")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    for name in named(document):
        path, colon, inside = name.partition(": ")
        if not PATH.fullmatch(path) or path in WRITTEN:
            continue
        assert exists(path) or path in BESIDE, f"{document.name}: {name}"
        if colon:
            assert f"\n{inside}" in (ROOT / "gateway" / path).read_text(encoding="utf-8"), f"{document.name}: {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        led = (document.parent / file) if file else document
        assert led.exists(), target
        if anchor:
            assert anchor in _anchors(led), target


def _anchors(document: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_target_command_and_setting_is_there(document: Path) -> None:
    for name in named(document):
        words = name.split()
        if words[0] == "make" and len(words) > 1 and re.fullmatch(r"[a-z-]+", words[1]):
            assert words[1] in make_targets(), name
        if words[0] == "aval" and len(words) > 1 and not words[1].startswith("-"):
            assert _is_command(words[1:]), name
    for variable in re.findall(r"\bAVAL_([A-Z_]+)\b", document.read_text(encoding="utf-8")):
        known = variable.lower() in Settings.model_fields or f"AVAL_{variable}" in NO_SETTINGS
        assert known or variable.endswith("_"), f"{document.name}: AVAL_{variable}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_address_that_a_document_names_is_answered(document: Path) -> None:
    [addresses] = [section for section in sections(typer.main.get_command(app)) if section.title == "Addresses"]
    doors = [_pattern(row[0].strip("`")) for row in addresses.rows]
    doors.append(_pattern("/metrics"))  # on an address of its own; tests/cli/test_scraped.py asks there
    for name in named(document):
        address = name.removeprefix("GET ").removeprefix("POST ")
        if re.match(r"/[a-z.]", address) and not document.name == "reference.md":
            assert any(door.fullmatch(address.replace("…", "any/path")) for door in doors), name


def test_every_data_path_that_a_document_names_is_one_of_the_organisations() -> None:
    found = 0
    for document in DOCUMENTS:
        for organisation, path in re.findall(r"/data/([a-z-]+)(/[\w./-]+)", document.read_text(encoding="utf-8")):
            declared = tomllib.loads((ROOT / f"examples/organisations/{organisation}.toml").read_text(encoding="utf-8"))
            patterns = [_pattern(path) for dataset in declared["datasets"] for path in dataset["paths"]]
            assert any(pattern.fullmatch(path) for pattern in patterns), f"{document.name}: {path}"
            found += 1
    assert found >= 3


def _pattern(path: str) -> re.Pattern[str]:
    escaped = re.sub(r"\\{path\\}", ".+", re.escape(path))
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", escaped))


def _is_command(words: list[str]) -> bool:
    found = typer.main.get_command(app)
    for word in words:
        below = getattr(found, "commands", None)
        if below is None:
            return True
        if word == "COMMAND":
            return True
        if word not in below:
            return False
        found = below[word]
    return True

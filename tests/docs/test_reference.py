"""What can be looked up is complete, and as the code is."""

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from starlette.routing import Mount, Route
from typer.testing import CliRunner

from gateway import errors
from gateway.app import Application, build_house
from gateway.catalogue import Catalogue
from gateway.cli import app
from gateway.cli.reference import PAGE, Section, page, sections
from gateway.ground.store import migrate
from gateway.log.events import EVENTS
from gateway.settings import Settings, shipped_policies

GATEWAY = Path(errors.__file__).parent

COMMANDS = typer.main.get_command(app)


@pytest.fixture(scope="module")
def listed() -> dict[str, Section]:
    return {section.title: section for section in sections(COMMANDS)}


def firsts(section: Section) -> set[str]:
    return {row[0].strip("`") for row in section.rows}


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(sections(COMMANDS)), "run: make docs"


def test_a_part_is_printed_alone_and_of_the_policies_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app's developer looks up what this gateway knows, which need not be what is shipped."""
    shutil.copytree(shipped_policies(), tmp_path / "policies")
    purpose = tmp_path / "policies" / "purposes" / "energy-advice.toml"
    purpose.write_text(purpose.read_text().replace('code = "energy-advice"', 'code = "warmer-homes"'))
    scopes = tmp_path / "policies" / "scopes" / "common.toml"
    scopes.write_text(scopes.read_text().replace('purpose = "energy-advice"', 'purpose = "warmer-homes"'))
    monkeypatch.setenv("AVAL_POLICIES_DIR", str(tmp_path / "policies"))
    told = CliRunner().invoke(app, ["reference", "purposes"], prog_name="aval")
    assert told.stdout.startswith("## Purposes") and told.stdout.count("## ") == 1
    assert "warmer-homes" in told.stdout and "energy-advice" not in told.stdout
    nothing = CliRunner().invoke(app, ["reference", "porpoises"], prog_name="aval")
    assert nothing.exit_code == 1 and not nothing.stdout and "Purposes" in nothing.stderr


def test_the_page_names_nothing_of_the_machine_it_was_written_on() -> None:
    """Else it would change from one developer to the next."""
    written = page(sections(COMMANDS))
    assert str(Path.home()) not in written and "/tmp" not in written and " at 0x" not in written


def test_everything_that_is_listed_says_what_it_is(listed: dict[str, Section]) -> None:
    for section in listed.values():
        assert section.rows, section.title
        least = 15 if section.title == "Addresses" else 2
        short = [(*row[:3], row[-1]) for row in section.rows if len(row[-1].strip()) < least]
        assert not short, (
            f"{section.title}: no description where it is declared, or one of less than {least} characters"
        )
        assert len({row[:2] for row in section.rows}) == len(section.rows), f"{section.title}: said twice"


def test_every_address_of_the_gateway_is_listed_with_its_methods(listed: dict[str, Section], tmp_path: Path) -> None:
    migrate.upgrade(settings := Settings(data_dir=tmp_path))
    house = build_house(settings, create_keys=True)
    try:
        routes = Application(house)._pages.routes
    finally:
        house.store.close()
    served = {("/data/{organisation}/{path}", "GET, HEAD")}
    served |= {(route.path, method) for route in routes if isinstance(route, Route) for method in _methods(route)}
    served |= {(f"{route.path}/{{file}}", "GET, HEAD") for route in routes if isinstance(route, Mount)}
    assert served == {(row[0].strip("`"), row[1]) for row in listed["Addresses"].rows}


def _methods(route: Route) -> set[str]:
    return (route.methods or set()) - {"HEAD"}


def test_every_setting_reason_event_error_purpose_and_type_of_data_is_listed(listed: dict[str, Section]) -> None:
    catalogue = Catalogue(shipped_policies())
    assert firsts(listed["Settings"]) == set(Settings.model_fields)
    assert firsts(listed["Refusals"]) >= set(errors.REASONS)
    assert firsts(listed["Events of the access log"]) == set(EVENTS)
    assert firsts(listed["Purposes"]) == set(catalogue.purposes)
    assert firsts(listed["Types of data and fields"]) == set(catalogue.datasets)
    assert firsts(listed["Errors"]) == set(_error_classes())


def _error_classes() -> Iterator[str]:
    """By reading the sources: a class that nothing has imported yet counts too."""
    known = {"GatewayError"}
    for _ in range(3):  # a tree of at most that depth
        for path in GATEWAY.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
                    known |= {node.name} if bases & known else set()
    return iter(known)


def test_every_reason_that_the_code_gives_is_listed(listed: dict[str, Section]) -> None:
    given = set()
    for path in GATEWAY.rglob("*.py"):
        given |= set(re.findall(r'\b(?:Refusal|Denied)\(\s*"(\w+)"', path.read_text(encoding="utf-8")))
    assert len(given) > 10, "the test itself finds what it looks for"
    assert given <= firsts(listed["Refusals"])

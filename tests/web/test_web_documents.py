"""The gateway's own documents as pages."""

from pathlib import Path

import pytest

from gateway.app import Application, build_house
from gateway.ground.store import migrate
from gateway.ground.web import documents
from gateway.settings import Settings
from tests.callers import TestClient


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    settings = Settings(data_dir=tmp_path_factory.mktemp("documents"), public_url="http://localhost:8400")
    migrate.upgrade(settings)
    house = build_house(settings, create_keys=True)
    return TestClient(Application(house), base_url="http://localhost:8400")


def test_every_document_has_its_page_and_is_listed(browser: TestClient) -> None:
    listed = browser.get("/docs").text
    names = {path.stem for path in documents.FOLDER.glob("*.md")}
    assert {"operating", "reference"} <= names
    for name in names:
        assert f'href="/docs/{name}"' in listed
        found = browser.get(f"/docs/{name}")
        assert found.status_code == 200 and documents.documents()[name].title in found.text


def test_links_from_one_document_to_another_lead_to_its_page(tmp_path: Path) -> None:
    path = tmp_path / "one.md"
    path.write_text("# One\n\nSee [the other](reference.md#settings). <script>alert(1)</script>\n", encoding="utf-8")
    html = str(documents._read(path).html)
    assert 'href="/docs/reference#settings"' in html
    assert "<script>" not in html


@pytest.mark.parametrize("name", ["nothing", "..%2fREADME", "operating.md"])
def test_what_is_no_document_is_not_found(browser: TestClient, name: str) -> None:
    assert browser.get(f"/docs/{name}").status_code in (400, 404)

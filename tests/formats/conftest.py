"""The judges: the public schemas of the formats, when they are beside the checkout."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from lxml import etree


@pytest.fixture(scope="session")
def open_banking(shared: Path) -> Callable[[str, bytes], None]:
    """Fails when a body is not valid by a schema of the Open Banking OpenAPI."""
    path = shared / "samples/schemas/openbanking_uk/account-info-openapi-v4.0.0.json"
    components = json.loads(path.read_text())["components"]
    judges: dict[str, Any] = {}

    def judge(schema: str, body: bytes) -> None:
        if schema not in judges:
            document = {"$ref": f"#/components/schemas/{schema}", "components": components}
            judges[schema] = jsonschema.Draft202012Validator(document)
        problems = [
            f"{'/'.join(map(str, p.absolute_path))}: {p.message}" for p in judges[schema].iter_errors(json.loads(body))
        ]
        assert not problems, problems

    return judge


@pytest.fixture(scope="session")
def espi(shared: Path) -> Callable[[bytes], None]:
    """Fails when a document is not valid by the strict Atom schema and espi.xsd."""
    folder = (shared / "samples/schemas/espi").as_uri()
    imports = "".join(
        f'<xs:import namespace="{namespace}" schemaLocation="{folder}/{name}"/>'
        for namespace, name in (
            ("http://www.w3.org/2005/Atom", "atom_strict.xsd"),
            ("http://naesb.org/espi", "espi.xsd"),
        )
    )
    driver = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'
    schema = etree.XMLSchema(etree.fromstring(driver))

    def judge(body: bytes) -> None:
        assert schema.validate(etree.fromstring(body)), str(schema.error_log)[:2000]

    return judge

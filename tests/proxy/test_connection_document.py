"""Every example in gateway/docs/connections.md is right, and every key of a connection is named there."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue import Catalogue
from gateway.organisations import connections, declare
from gateway.settings import shipped_policies
from tests.proxy.connected_world import HEAD, NUMBER
from tests.worlds import filed

DOCUMENT = (Path(__file__).parents[2] / "gateway" / "docs" / "connections.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^```toml (\S+)\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL))
catalogue = Catalogue(shipped_policies())


def document(text: str) -> dict[str, Any]:
    whole = tomllib.loads(HEAD.format(id="bank", base_url="https://api.bank.example"))
    found = tomllib.loads(text)["connection"]
    if found["kind"] == "files":  # its records are described, too
        return filed.document() | {"connection": found}
    number = tomllib.loads(NUMBER)["connection"] if connections.match_of(found) == "number" else {}
    whole["connection"] |= {**number, **found, "networks": []}
    return whole


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_is_a_right_declaration(name: str) -> None:
    told = [str(fault) for fault in declare.check(document(EXAMPLES[name]), catalogue, lambda host: [])]
    here = [fault for fault in told if "there is no file /etc/aval/" not in fault]
    assert not here


def test_every_kind_and_every_match_has_one() -> None:
    found = [document(text)["connection"] for text in EXAMPLES.values()]
    assert {each["kind"] for each in found} == set(connections.KINDS)
    assert {connections.match_of(each) for each in found} == set(connections.MATCHES)


def test_every_key_is_named() -> None:
    for place, keys in connections.TABLES.items():
        assert f"[{place}]" in DOCUMENT
        for key in keys:
            assert re.search(rf"(^|`|# ){key}( =|`)", DOCUMENT, re.MULTILINE), f"{place}.{key}"
    for word in connections.CLIENT_AUTH:
        assert f"`{word}`" in DOCUMENT

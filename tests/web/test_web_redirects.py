"""Every redirect of the gateway is a 303: no form, with whatever secret is in it, is ever sent on (RFC 9700 §4.12)."""

import ast
from functools import cache
from pathlib import Path

from gateway.ground.web.headers import see_other

GATEWAY = Path(__file__).parents[2] / "gateway"
VISITORS = {"cli/demo_visitor.py"}  # who follows redirects, as a browser does
OTHERS = {301, 302, 307, 308}


@cache
def modules() -> dict[str, ast.Module]:
    files = [path for path in GATEWAY.rglob("*.py") if "__compiled__" not in path.parts]
    return {str(path.relative_to(GATEWAY)): ast.parse(path.read_text(encoding="utf-8")) for path in files}


def test_there_is_one_way_to_send_a_browser_on() -> None:
    assert see_other("/x").status_code == 303
    named = {
        name: [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in OTHERS]
        for name, tree in modules().items()
    }
    assert {name for name, found in named.items() if found and type(found[0]) is int} <= VISITORS


def test_no_other_place_writes_where_to_go() -> None:
    writers = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and str(node.value).strip("b'").lower() == "location"
        if not name.startswith("formats/")  # where it is a word of a format
    }
    assert writers - VISITORS == {"ground/web/headers.py"}
    for name, tree in modules().items():
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
        assert "RedirectResponse" not in imported, name

"""Every text these rooms show to people, taken from where it is written: templates, and Python's N_ and N2_."""

import ast
from pathlib import Path

import gateway
from gateway.ground.web import templates

ROOMS = ("consent", "screen", "sharings")
Message = str | tuple[str, str]
_TEMPLATES = Path(templates.__file__).parent / "templates"
_CODE = Path(gateway.__file__).parent


def from_templates() -> set[Message]:
    paths = [path for folder in ("screen", "sharings") for path in sorted((_TEMPLATES / folder).glob("*.html"))]
    return set().union(*(of_template(str(path.relative_to(_TEMPLATES))) for path in paths))


def of_template(name: str) -> set[Message]:
    from jinja2 import Environment

    environment = Environment(extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True)
    environment.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    found: set[Message] = set()
    for _, function, message in environment.extract_translations((_TEMPLATES / name).read_text()):  # type: ignore[attr-defined]
        if function == "ngettext":
            found.add((message[0], message[1]))
            continue
        text = message[0] if isinstance(message, tuple) else message  # a tuple: with placeholders
        if text:  # else: a text that comes from the code, and is found there
            found.add(text)
    return found


def from_code() -> set[Message]:
    found: set[Message] = set()
    for path in sorted(path for room in ROOMS for path in (_CODE / room).glob("*.py")):
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

"""All texts of the log room that are translated, found where they are written."""

from pathlib import Path

from babel.messages.extract import extract_from_dir

GATEWAY = Path(__file__).parents[2] / "gateway"
KEYWORDS = {"N_": None, "many": (1, 2), "_": None, "gettext": None, "ngettext": (1, 2)}


def texts() -> set[str | tuple[str, str]]:
    """Message ids; (one, more) for those that count."""
    found: set[str | tuple[str, str]] = set()
    for folder, method in ((GATEWAY / "log", "python"), (GATEWAY / "ground" / "web" / "templates" / "log", "jinja2")):
        pattern = {"python": "**.py", "jinja2": "**.html"}[method]
        options = {pattern: {"newstyle_gettext": "true", "trimmed": "false"}}
        for _, _, message, _, _ in extract_from_dir(folder, [(pattern, method)], options, KEYWORDS):
            found.add(tuple(message[:2]) if isinstance(message, tuple) else message)
    return found

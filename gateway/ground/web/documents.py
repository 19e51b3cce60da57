"""`/docs` and `/docs/{name}`: the documents of gateway/docs as pages, for whoever runs or uses this gateway.

They are ours and in English, and no HTML in them is passed on. A link from one to another leads to its page.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup
from starlette.responses import Response

from gateway import errors
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door

FOLDER = Path(__file__).parents[2] / "docs"
_REMARK = re.compile(r" ?<!--.*?-->", re.DOTALL)  # of the writer to himself
_LINK = re.compile(r"\]\((?:\./)?([a-z-]+)\.md(#[^)]*)?\)")


@dataclass(frozen=True)
class Document:
    name: str
    title: str
    html: Markup


@cache
def documents() -> dict[str, Document]:
    """All of them by name, read once."""
    return {path.stem: _read(path) for path in sorted(FOLDER.glob("*.md"))}


def _read(path: Path) -> Document:
    from markdown_it import MarkdownIt  # here: most gateways are started more often than these pages are read

    text = path.read_text(encoding="utf-8")
    text = _REMARK.sub("", text)
    linked = _LINK.sub(lambda found: f"](/docs/{found[1]}{found[2] or ''})", text)
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(linked)
    title = next((line[2:] for line in text.splitlines() if line.startswith("# ")), path.stem)
    return Document(path.stem, title, Markup(html))


def listed(ctx: Context) -> Response:
    """The documents for those who run this gateway or build on it."""
    return ctx.page("documents.html", documents=list(documents().values()))


def shown(ctx: Context) -> Response:
    """One of these documents, as a page."""
    found = documents().get(ctx.path["name"])
    if found is None:
        raise errors.NotFound("document")
    return ctx.page("document.html", document=found)


DOORS = [
    Door("/docs", listed, name="documents"),
    Door("/docs/{name}", shown, name="document"),
]

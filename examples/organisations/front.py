"""The front page of an example organisation: who it is and where its pages are. A browser also gets it where there is
no page, with the true status; other callers get the plain error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from examples.data.people import Person
from examples.languages import Words, language, words_of

_WORDS = words_of(
    example=(
        "Une organisation d’exemple de la démonstration d’Aval : elle a des clients, et des données sur eux.",
        "An example organisation of Aval’s demo: it has customers, and data about them.",
    ),
    customers=("Clients", "Customers"),
    inbox=("messages reçus", "messages received"),
    to_link=(
        "Pour relier un compte de client, partir d’Aval : ",
        "To link a customer’s account, start from Aval: ",
    ),
    linking=("vos organisations", "your organisations"),
    data=(
        "Les données sont sous <code>{path}</code>, pour Aval seul. Les applications les lisent à travers Aval, sous "
        "<code>{address}</code>.",
        "The data are below <code>{path}</code>, for Aval alone. Apps read them through Aval, below "
        "<code>{address}</code>.",
    ),
)


def page(tongue: str, title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="{tongue}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body{{font:1.1rem/1.5 system-ui;max-width:28rem;margin:2rem auto;padding:0 1rem;background:#e9eef2;color:#111}}
h1{{line-height:1.2}} li{{list-style:none;background:#fff;border-radius:1rem;padding:.2rem 1rem;margin:.5rem 0}}
ul{{padding:0}} .code{{font-size:1.5rem;letter-spacing:.1em}} code{{overflow-wrap:anywhere}}</style></head>
<body><main><h1>{title}</h1>
{body}</main></body></html>"""


@dataclass(frozen=True, slots=True)
class Front:
    id: str
    name: Mapping[str, str]  # by language
    gateway: str
    data: str  # the path above all data
    customers: Mapping[str, Person]  # by customer number
    inbox: bool  # whether customers have a page with the codes sent to them
    page: Callable[[str, str, str], str] = page  # of language, title, body

    def routes(self) -> list[Route]:
        return [Route("/", lambda request: self._answer(request, 200))]

    def handlers(self) -> dict[Any, Any]:
        return {404: self._astray, 405: self._astray}

    def _astray(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if "text/html" in request.headers.get("accept", ""):
            return self._answer(request, error.status_code, error.headers)
        return PlainTextResponse(error.detail, error.status_code, error.headers)

    def _answer(self, request: Request, status: int, headers: Mapping[str, str] | None = None) -> Response:
        tongue = language(request.headers.get("accept-language", ""))
        return HTMLResponse(self.page(tongue, escape(self.name[tongue]), self._body(tongue)), status, headers)

    def _body(self, tongue: str) -> str:
        t = _said(_WORDS, tongue)
        items = "".join(f"<li><p>{self._customer(number, t)}</p></li>" for number in self.customers)
        address = escape(f"{self.gateway}/data/{self.id}{self.data}")
        link = f'<a href="{escape(self.gateway)}/organisations">{t["linking"]}</a>'
        return (
            f"<p>{t['example']}</p>\n<p>{t['to_link']}{link}.</p>\n"
            f"<h2>{t['customers']}</h2>\n<ul>{items}</ul>\n"
            f"<p>{t['data'].format(path=escape(self.data), address=address)}</p>"
        )

    def _customer(self, number: str, t: Mapping[str, str]) -> str:
        inbox = f': <a href="/inbox/{escape(number)}">{t["inbox"]}</a>' if self.inbox else ""
        return f"{escape(self.customers[number].name)}, <strong>{escape(number)}</strong>{inbox}"


def _said(words: Words, tongue: str) -> dict[str, str]:
    return {key: text[tongue] for key, text in words.items()}

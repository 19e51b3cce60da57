"""The doors by which the gateway links a person to a customer, and the page that stands for the customer's phone.

POST start {"customer_number"} → 202 {"sent_to"} · POST confirm {"customer_number", "code"} → {"linked": true}
POST end → 204 · GET /inbox/{customer_number}: the codes sent, as a page or as JSON
"""

import json
from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from examples.data.people import Person
from examples.languages import language, words_of
from examples.organisations.common import ZONE, Assertions, Links, Refused, Setup
from examples.organisations.front import page

_WORDS = words_of(
    received=("Messages reçus par {number}", "Messages received by {number}"),
    stands_for=(
        "Cette page tient lieu du téléphone du client pendant la démonstration.",
        "In this demo, this page stands for the customer's phone.",
    ),
    message=(
        "{name} : votre code est {code}. Donnez-le à Aval, et à personne d’autre.",
        "{name}: your code is {code}. Give it to Aval, and to nobody else.",
    ),
    none=("Aucun message pour le moment. Rechargez la page.", "No message yet. Load the page again."),
    nobody=("Aucun client ne porte ce numéro.", "No customer has this number."),
)


def routes(
    setup: Setup, assertions: Assertions, links: Links, customers: Mapping[str, Person], name: Mapping[str, str]
) -> list[Route]:
    """`name`: the organisation's, by language."""

    def start(request: Request, asked: dict[str, Any]) -> Response:
        subject = assertions.subject(request, setup.now(), once=True)
        number = _text(asked, "customer_number")
        if number not in customers:
            raise Refused(404, "customer_unknown")
        sent_to = "***" + customers[number].phone[-2:]
        code = links.start(subject, number, setup.now())
        # Stands for the text message. A real organisation would never print it.
        print(f"{name['en']}: one-time code for {number}, sent to {sent_to}: {code}", flush=True)
        return JSONResponse({"sent_to": sent_to}, 202)

    def confirm(request: Request, asked: dict[str, Any]) -> Response:
        subject = assertions.subject(request, setup.now(), once=True)
        links.confirm(subject, _text(asked, "customer_number"), _text(asked, "code"), setup.now())
        return JSONResponse({"linked": True})

    def end(request: Request, asked: dict[str, Any]) -> Response:
        links.end(assertions.subject(request, setup.now(), once=True))
        return Response(status_code=204)

    def inbox(request: Request) -> Response:
        number = request.path_params["customer_number"]
        tongue = language(request.headers.get("accept-language", ""))
        if number not in customers:
            return HTMLResponse(page(tongue, _WORDS["nobody"][tongue], ""), 404)
        codes = [{"at": datetime.fromtimestamp(at, ZONE).isoformat(), "code": c} for at, c in links.messages(number)]
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"messages": codes})
        return HTMLResponse(_inbox_page(tongue, name[tongue], number, codes))

    return [
        Route("/aval/link/start", _posted(start), methods=["POST"]),
        Route("/aval/link/confirm", _posted(confirm), methods=["POST"]),
        Route("/aval/link/end", _posted(end), methods=["POST"]),
        Route("/inbox/{customer_number}", inbox),
    ]


def _posted(handler: Any) -> Any:
    """Read a small JSON body, then answer from a worker thread, with errors as JSON."""

    async def door(request: Request) -> Response:
        try:
            body = await request.body()
            asked = json.loads(body) if body else {}
            if not isinstance(asked, dict):
                raise ValueError
        except ValueError:
            return JSONResponse({"error": "invalid_request"}, 400)
        try:
            answer: Response = await run_in_threadpool(handler, request, asked)
        except Refused as refused:
            return JSONResponse({"error": refused.code}, refused.status)
        return answer

    return door


def _text(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 64:
        raise Refused(400, "invalid_request")
    return value


def _inbox_page(tongue: str, name: str, number: str, codes: list[dict[str, str]]) -> str:
    t = {key: text[tongue] for key, text in _WORDS.items()}
    items = "".join(
        f"<li><p>{_message(t['message'], name, m['code'])} "
        f"<small><time datetime='{m['at']}'>{m['at'][11:16]}</time></small></p></li>"
        for m in codes
    )
    empty = f"<li><p>{t['none']}</p></li>"
    title = t["received"].format(number=escape(number))
    return page(tongue, title, f"<p>{t['stands_for']}</p>\n<ul>{items or empty}</ul>")


def _message(text: str, name: str, code: str) -> str:
    return text.format(name=escape(name), code=f"<strong class=code>{code}</strong>")

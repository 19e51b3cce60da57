"""What the two apps share as websites: the visitor's session, pages in her language, starting.

Tokens and data stay on the server, in one small database; the browser holds a random cookie. What was read is forgotten
after the time the app promised.
"""

import argparse
import contextlib
import hashlib
import json
import os
import secrets
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from examples.apps.client import Aval, Declared, Json, Reader, Refused
from examples.apps.words import COMMON, OVER, REFUSALS
from examples.cookies import cookie as read_cookie
from examples.languages import Words, language
from examples.organisations.common import listen, run

FOLDER = Path(__file__).parent
KEEP_SECONDS = 31 * 86400  # "P1M", the retention both apps ask for


@dataclass(frozen=True, slots=True)
class Site:
    """One app: its name on the command line, what it asks for, how it reads, and its words."""

    name: str
    port: int
    declared: Declared
    load: Callable[[Reader], Json]  # raises Refused
    words: Words


class Sessions:
    """Visitors, by the hash of their cookie."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(folder / "sessions.sqlite3", check_same_thread=False, isolation_level=None)
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS session (id TEXT PRIMARY KEY, at REAL NOT NULL, json TEXT NOT NULL)"
        )
        self._lock = threading.Lock()
        self._busy = [threading.Lock() for _ in range(64)]  # shared by few visitors each, so their number stays

    def get(self, cookie: str, now: float) -> Json:
        with self._lock:
            found = self._db.execute(
                "SELECT json FROM session WHERE id = ? AND at > ?", (_hash(cookie), now - KEEP_SECONDS)
            ).fetchone()
        return json.loads(found[0]) if found else {}

    def put(self, cookie: str, session: Json, now: float) -> None:
        with self._lock:
            self._db.execute("DELETE FROM session WHERE at <= ?", (now - KEEP_SECONDS,))
            self._db.execute(
                "INSERT OR REPLACE INTO session VALUES (?, ?, ?)", (_hash(cookie), now, json.dumps(session))
            )

    def drop(self, cookie: str) -> None:
        with self._lock:
            self._db.execute("DELETE FROM session WHERE id = ?", (_hash(cookie),))

    @contextlib.contextmanager
    def alone(self, cookie: str) -> Iterator[None]:
        """One at a time for each visitor: a refresh token used twice at once would end her link."""
        with self._busy[int(_hash(cookie)[:4], 16) % len(self._busy)]:
            yield


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


def build(site: Site, aval: Aval, sessions: Sessions) -> Starlette:
    cookie_name = f"{site.name}_session"
    pages = Environment(loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined)
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {aval.gateway}"
    )

    def page(request: Request, session: Json, *, said: Json | None = None, status: int = 200) -> Response:
        tongue = language(request.headers.get("accept-language", ""))
        words = {key: text[tongue] for key, text in (COMMON | site.words).items()}
        refusal = said or session.get("refused")
        told = REFUSALS.get(refusal["reason"], REFUSALS["server_error"])[tongue] if refusal else None
        grant = session.get("token", {}).get("grant_id", "")
        body = pages.get_template(f"{site.name}.html").render(
            t=words,
            lang=tongue,
            connected="token" in session,
            data=session.get("data"),
            refused=refusal,
            told=told,
            over=refusal is not None and refusal["reason"] in OVER,
            refusals={reason: text[tongue] for reason, text in REFUSALS.items()},
            sharing=f"{aval.gateway}/sharings/{grant}" if grant else f"{aval.gateway}/sharings",
        )
        return HTMLResponse(body, status, {"content-security-policy": policy, "cache-control": "no-store"})

    def tell(step: str, refused: Refused) -> None:
        """One line in the app's own log: the words of the gateway, nothing about the visitor. The way back comes
        through the browser, so what it says is cut and quoted."""
        print(f"{site.name}: {step} was refused: {str(refused)[:300]!r}", file=sys.stderr, flush=True)

    def visitor(request: Request) -> tuple[str, Json]:
        cookie = read_cookie(request, cookie_name)
        return cookie, sessions.get(cookie, time.time()) if cookie else {}

    def read(cookie: str, session: Json) -> None:
        """Fill the session anew; a refusal is kept beside what was read before."""
        reader = Reader(aval, session["token"])
        try:
            session |= {"data": site.load(reader), "refused": None}
        except Refused as refused:
            tell("reading", refused)
            session["refused"] = {"reason": refused.reason, "retry_after": refused.retry_after}
        except (LookupError, ValueError, SyntaxError):  # not the JSON or XML we know how to read
            session["refused"] = {"reason": "server_error", "retry_after": None}
        finally:  # a refresh token that was spent must never be kept in place of its successor
            session["token"] = reader.token
            sessions.put(cookie, session, time.time())

    def home(request: Request) -> Response:
        return page(request, visitor(request)[1])

    def connect(request: Request) -> Response:
        cookie, session = visitor(request)
        try:
            address, pending = aval.begin(language(request.headers.get("accept-language", "")))
        except Refused as refused:
            tell("asking", refused)
            return page(request, session, said={"reason": refused.reason, "retry_after": None}, status=502)
        cookie = cookie if session else secrets.token_urlsafe(32)
        sessions.put(cookie, session | {"pending": pending}, time.time())
        answer = RedirectResponse(address, 303)
        answer.set_cookie(cookie_name, cookie, httponly=True, samesite="lax", max_age=KEEP_SECONDS)
        return answer

    def callback(request: Request) -> Response:
        cookie, session = visitor(request)
        with sessions.alone(cookie):
            pending = session.pop("pending", {})
            try:
                token = aval.finish(pending, request.query_params)
            except Refused as refused:
                tell("the way back", refused)
                return page(request, session, said={"reason": refused.reason, "retry_after": None}, status=400)
            fresh = secrets.token_urlsafe(32)  # a new cookie for what is now worth more
            sessions.drop(cookie)
            read(fresh, {"token": token})
        answer = RedirectResponse("/", 303)
        answer.set_cookie(cookie_name, fresh, httponly=True, samesite="lax", max_age=KEEP_SECONDS)
        return answer

    def refresh(request: Request) -> Response:
        cookie = read_cookie(request, cookie_name)
        with sessions.alone(cookie):
            session = visitor(request)[1]
            if "token" in session:
                read(cookie, session)
        return RedirectResponse("/", 303)

    def forget(request: Request) -> Response:
        cookie, session = visitor(request)
        with sessions.alone(cookie), contextlib.suppress(Refused):  # what we hold goes even when nobody answers
            sessions.drop(cookie)
            if "token" in session:
                aval.revoke(session["token"])
        return RedirectResponse("/", 303)

    def astray(request: Request, error: Exception) -> Response:
        """No such page, or the address of a form: the page that there is, with the answer's true status."""
        return page(request, visitor(request)[1], status=error.status_code if isinstance(error, HTTPException) else 404)

    def logo(request: Request) -> Response:
        return FileResponse(FOLDER / site.declared.document["logo"])

    def style(request: Request) -> Response:
        return FileResponse(FOLDER / "style.css")

    return Starlette(
        routes=[
            Route("/", home),
            Route("/connect", connect, methods=["POST"]),
            Route("/callback", callback),
            Route("/refresh", refresh, methods=["POST"]),
            Route("/forget", forget, methods=["POST"]),
            Route("/logo.svg", logo),
            Route("/style.css", style),
        ],
        exception_handlers={404: astray, 405: astray},
    )


def serve(site: Site) -> None:
    """Run one app until it is told to stop. Prints `ready http://localhost:PORT` once it listens."""
    variable = site.name.upper() + "_CLIENT_SECRET"
    parser = argparse.ArgumentParser(prog=f"python -m examples.apps.{site.name}")
    parser.add_argument("--port", type=int, default=site.port, help="0 picks a free one")
    parser.add_argument("--gateway", default="http://localhost:8400", help="public address of the gateway")
    parser.add_argument("--dir", type=Path, default=Path(".demo") / site.name.replace("_", "-"), help="sessions")
    parser.add_argument("--public-url", help="address under which browsers reach this app")
    parser.add_argument("--client-secret", default=os.environ.get(variable, ""), help=f"better by {variable}")
    options = parser.parse_args()
    if not options.client_secret and site.declared.document["token_endpoint_auth_method"] != "none":
        sys.exit(f"{site.name}: give the secret the gateway issued by {variable} or --client-secret")
    sockets = listen(options.port)
    address = f"http://localhost:{sockets[0].getsockname()[1]}"
    redirect_uri = (options.public_url or address).rstrip("/") + "/callback"
    aval = Aval(options.gateway.rstrip("/"), site.declared, options.client_secret, redirect_uri)
    run(build(site, aval, Sessions(options.dir)), sockets, address)

"""An app without a server: its page and script on an origin of their own, and what Chromium says of it."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clients_world import Robot
from play import NODE, Stumble
from playwright.sync_api import Browser, Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route

from tests.worlds.chromium import listening, served

PAGES = Path(__file__).parent / "spa"
LIBRARIES = {
    "oidc-client-ts.js": NODE / "node_modules/oidc-client-ts/dist/esm/oidc-client-ts.js",
    "jwt-decode.js": NODE / "node_modules/jwt-decode/build/esm/index.js",  # what oidc-client-ts imports
    "oauth4webapi.js": NODE / "node_modules/oauth4webapi/build/index.js",
}
SECONDS = 10


@dataclass
class SinglePageApp:
    origin: str
    settings: dict[str, Any] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        def page(_: Request) -> FileResponse:
            return FileResponse(PAGES / "page.html")

        def script(request: Request) -> FileResponse:
            return FileResponse(PAGES / request.path_params["name"], media_type="text/javascript")

        def library(request: Request) -> FileResponse:
            return FileResponse(LIBRARIES[request.path_params["name"]], media_type="text/javascript")

        def settings(_: Request) -> JSONResponse:
            return JSONResponse(self.settings)

        return [
            Route("/", page),
            Route("/callback", page),
            Route("/settings", settings),
            Route("/spa/{name}", script),
            Route("/lib/{name}", library),
        ]


@contextlib.contextmanager
def single_page_app() -> Iterator[SinglePageApp]:
    """At 127.0.0.1, so that it is no neighbour of the gateway at localhost."""
    socket = listening()
    app = SinglePageApp(f"http://127.0.0.1:{socket.getsockname()[1]}")
    with served(Starlette(routes=app.routes()), socket):
        yield app


def walked(chromium: Browser, app: SinglePageApp, alice: Robot, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the app says at its end, after Alice has agreed in Chromium. Raises Stumble when the browser has kept an
    answer from it for want of CORS."""
    app.settings = dict(settings)
    context = chromium.new_context(ignore_https_errors=True, locale="en-GB")
    try:
        context.add_cookies(alice.cookies())  # type: ignore[arg-type]
        page = context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        console: list[str] = []
        page.on("console", lambda message: console.append(message.text))
        page.goto(app.origin)
        _agrees(page)
        said = json.loads(page.locator("#result").text_content() or "{}")
    finally:
        context.close()
    blocked = [line for line in console if "CORS" in line]
    if "refused" in said and blocked:
        raise Stumble("the browser", said["refused"], [{"console": blocked}])
    assert "result" in said, (said, console)
    result: dict[str, Any] = said["result"]
    return result


def _agrees(page: Page) -> None:
    """Until the app has said something: at once, or after she has agreed."""
    told = page.locator("#result:not(:empty)")
    allow = page.locator("button[name=decision][value=allow]")
    again = page.locator("form[action^='/authorize/continue'] button")  # agreed to the same before
    told.or_(allow).or_(again).first.wait_for()
    if again.count():
        again.last.click()
        told.wait_for()
    if allow.count():
        page.locator("input[name='accounts:city-energy']").first.check()
        allow.click()
        told.wait_for()

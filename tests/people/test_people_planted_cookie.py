"""A site beside the gateway, under the same registrable domain, plants its own sign-in in a visitor's browser."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from people_world import PASSWORD, World, serving
from playwright.sync_api import Browser, Page

from gateway.ground.web import cookies

pytestmark = pytest.mark.browser

SITE = "town.localhost"  # Chromium counts names below localhost as trustworthy, and finds them on this machine
DISGUISES = (b"\xa0%s", b"\x85%s", b"%s\xa0", b"%s\x85", b"%s")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(tmp_path_factory.mktemp("planted"), f"aval.{SITE}") as made:
        made.person("Alice Martin")
        made.person("Mallory")
        yield made


@contextlib.contextmanager
def neighbour(cookie: bytes) -> Iterator[str]:
    """A server at another name of the site, whose every answer sets `cookie` for the whole site. Gives its address."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n"
    said = head + b"Set-Cookie: %s; Domain=%s; Path=/; Secure\r\n\r\nhi"
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(said % (cookie, SITE.encode()))

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://mallory.{SITE}:{listening.getsockname()[1]}/"
        listening.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def window(chromium: Browser, world: World) -> Iterator[Page]:
    context = chromium.new_context(base_url=world.house.settings.public_url, locale="en")
    yield context.new_page()
    context.close()


def signs_in(page: Page, email: str) -> None:
    page.goto("/sign-in")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.click("main button")
    page.goto("/account")


@pytest.fixture(scope="module")
def hers(chromium: Browser, world: World) -> bytes:
    """Mallory's sign-in, as her own browser keeps it."""
    with window(chromium, world) as page:
        signs_in(page, "mallory@example.org")
        assert "mallory@example.org" in page.content()
        return next(str(each["value"]) for each in page.context.cookies() if each["name"] == cookies.SIGN_IN).encode()


@pytest.mark.parametrize("disguise", DISGUISES, ids=repr)
def test_a_neighbour_cannot_plant_a_sign_in(chromium: Browser, world: World, hers: bytes, disguise: bytes) -> None:
    planted = b"%s=%s" % (disguise % cookies.SIGN_IN.encode(), hers)
    with window(chromium, world) as page, neighbour(planted) as mallory:
        page.goto(mallory)
        page.goto("/account")
        assert "mallory@example.org" not in page.content()
        assert "/sign-in" in page.url


@pytest.mark.parametrize("disguise", DISGUISES, ids=repr)
def test_a_neighbour_cannot_replace_a_sign_in(chromium: Browser, world: World, hers: bytes, disguise: bytes) -> None:
    planted = b"%s=%s" % (disguise % cookies.SIGN_IN.encode(), hers)
    with window(chromium, world) as page, neighbour(planted) as mallory:
        signs_in(page, "alice@example.org")
        assert "alice@example.org" in page.content()
        page.goto(mallory)
        page.goto("/account")
        assert "mallory@example.org" not in page.content()


def test_other_cookies_of_a_neighbour_do_not_sign_anybody_out(chromium: Browser, world: World) -> None:
    with window(chromium, world) as page, neighbour("goût=salé".encode()) as neighbours:
        page.goto(neighbours)
        signs_in(page, "alice@example.org")
        assert "alice@example.org" in page.content()
        assert "goût" in [each["name"] for each in page.context.cookies()]

"""Between an app and her organisations nobody is stuck: what is optional holds nothing up, and linking is explained."""

import html
import json
import re

from gateway.cli.demo_setup import Demo
from gateway.cli.demo_story import _detail
from gateway.cli.demo_visitor import WebPage
from tests.worlds.demo import Resident, newcomer


def asks(alice: Resident) -> WebPage:
    """Clear Budget asks for her bank's data, and for her insurer's if she likes."""
    story, at = alice.story, alice.gateway
    client = story._client("clear-budget")
    details = [
        _detail(at, "harbour-bank", ["bank.accounts"], "household-budget", "P12M", 4),
        _detail(at, "meadow-health", ["health.claims"], "household-budget", "P12M", 4),
    ]
    form = {
        **client["form"],
        "response_type": "code",
        "redirect_uri": f"{alice.demo.url('clear-budget')}/callback",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
        "authorization_details": json.dumps(details),
    }
    pushed = story.http.post(f"{at}/par", data=form, auth=client["auth"])
    assert pushed.status_code == 201, pushed.text
    query = {"client_id": "clear-budget", "request_uri": pushed.json()["request_uri"]}
    return alice.visitor.get(f"{at}/authorize?client_id={query['client_id']}&request_uri={query['request_uri']}")


def test_the_page_for_linking_says_which_app_waits_and_for_what(world: Demo) -> None:
    alice = newcomer(world)
    page = asks(alice)
    assert "Link your account first" in page.text and "Harbour Bank" in page.text
    assert "Meadow Health" not in page.text, "what is optional there holds nobody up"
    [address] = re.findall(r'href="(/organisations/harbour-bank/link[^"]*)"', page.body)
    linking = alice.visitor.get(alice.gateway + html.unescape(address))
    for words in ("Clear Budget waits for your answer", "Accounts", "Back to the request", "Refuse the request"):
        assert words in linking.text
    mallory = newcomer(world, "Mallory Malin")
    other = mallory.visitor.get(mallory.gateway + html.unescape(address))
    assert "waits for your answer" not in other.text


def test_an_organisation_where_all_is_optional_can_be_linked_later(world: Demo) -> None:
    alice = newcomer(world)
    alice.links("harbour-bank")
    page = asks(alice)
    assert "We do not know your account at Meadow Health yet" in page.text
    form = page.form("/consent/")
    values = {name: offered[:1] for name, offered in form.offered.items() if name.startswith("accounts:")}
    back = alice.visitor.submit(page, form, press="allow", duration="d30", **values)
    assert back.url.startswith(f"{world.url('clear-budget')}/callback") and "code=" in back.url

"""What tests of requests that wait have in common: an app that asks people who are not there, and one that can wait."""

import re
from html import unescape

from authorization_world import visible

CIBA = "urn:openid:params:grant-type:ciba"
BANK = {
    "token_endpoint_auth_method": "client_secret_basic",
    "grant_types": [CIBA, "authorization_code", "refresh_token"],
    "backchannel_token_delivery_mode": "poll",
    "purposes": ["energy-advice", "sign-in"],
    "scope": "openid email",
    "asks_anybody": True,
}


def ask(world, app="till", **changes):
    form = {"scope": "openid", "login_hint": "alice@example.org", "binding_message": "W4SCT", **changes}
    return world.post("/bc-authorize", {k: v for k, v in form.items() if v is not None}, app)


def begun(world, app="till", **changes):
    answer = ask(world, app, **changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


def error(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()["error"]


def consents(world, person="alice", state="requested"):
    found = world.house.store.connect().execute(
        "SELECT id FROM consent WHERE person_id = ? AND state = ? ORDER BY created_at", (person, state)
    )
    return [id for (id,) in found.fetchall()]


def opened(world, browser, id=None, person="alice"):
    """Where the inbox leads: the address of the request."""
    led = browser.get(f"/requests/{id or consents(world, person)[-1]}")
    assert led.status_code == 303, (led.status_code, visible(led.text))
    return led.headers["location"]


def answers(world, decision="allow", person="alice", id=None):
    browser = world.browser(person)
    return world.agree(browser, opened(world, browser, id), decision)


def opens(world, person="alice", app="till", **changes):
    """Her browser at the screen of a request of an app that can wait; the browser, the page, its address."""
    browser = world.browser(person)
    address = world.pushed(app, **{"completion_mode": "deferred", **changes})
    return browser, browser.get(address), address


def puts_off(browser, page):
    form = dict(
        re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text.split("/authorize/later")[1])
    )
    sent = browser.post("/authorize/later", data={name: unescape(value) for name, value in form.items()})
    assert sent.status_code == 303, visible(sent.text)
    return browser.get(sent.headers["location"])


def redeem(world, code, app="till", **changes):
    return world.redeem(code, app, **{"completion_mode": "deferred", **changes})

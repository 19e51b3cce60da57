"""Passkeys, one-time codes, opening an account: in the real browser."""

import re
import time
from typing import Any

import pyotp
from browser_world import Window

from gateway.cli.demo_setup import PASSWORD, Demo
from tests.worlds.demo import Resident


def test_anybody_opens_an_account_and_signs_in(opens: Any, world: Demo, js: bool) -> None:
    window: Window = opens(js=js).go("/").click("Open an account", "link")
    page = window.page
    page.fill("#name", "Zoé Garnier")
    page.fill("#email", f"zoe.{'script' if js else 'noscript'}@example.org")
    page.fill("#password", PASSWORD)
    window.click("Open an account", "button")
    assert "You can now sign in" in window.text()
    page.fill("#email", f"zoe.{'script' if js else 'noscript'}@example.org")
    page.fill("#password", PASSWORD)
    window.click("Sign in", "button")
    assert "Zoé" in window.title
    window.click("Sign out", "button")
    assert window.go("/sharings").path == "/sign-in"


def test_a_passkey_opens_the_door_without_a_password(opens: Any, alice: Resident) -> None:
    window: Window = opens(alice)
    devtools = window.context.new_cdp_session(window.page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    window.go("/account").click("Add a passkey")
    window.page.fill("#name", "Alice's phone")
    window.click("Add a passkey", "button")
    assert "Alice's phone" in window.text()
    window.click("Sign out", "button")
    window.go("/sign-in").click("Use a passkey").click("Use a passkey", "button")
    assert window.path == "/" and "Alice" in window.title


def test_without_a_script_the_passkey_page_says_so_and_offers_the_password(opens: Any) -> None:
    window: Window = opens(js=False).go("/sign-in").click("Use a passkey")
    assert "Passkeys need JavaScript" in window.text()
    window.click("Sign in with your password instead")
    assert window.page.locator("#password").count() == 1


def test_one_time_codes_are_asked_for_once_they_are_on(opens: Any, alice: Resident, js: bool) -> None:
    window: Window = opens(alice, js=js).go("/account").click("Switch on one-time codes")
    key = re.sub(r"\s", "", window.page.locator("span.code").inner_text())
    codes = pyotp.TOTP(key)
    used = codes.now()
    window.page.fill("#code", used)
    window.click("Switch on", "button")
    assert len(re.findall(r"\b[a-z2-7]{4}(?:-[a-z2-7]{4}){3}\b", window.text())) >= 8, "recovery codes"
    window.click("Sign out", "button").go("/sign-in").sign_in(alice)
    assert window.path == "/sign-in/second"
    window.page.fill("#code", used)
    window.click("Continue", "button")
    assert window.page.locator(".error-summary").count() == 1, "a code that was used opens nothing"
    window.page.fill("#code", codes.at(time.time() + 30))
    window.click("Continue", "button")
    assert "Alice" in window.title

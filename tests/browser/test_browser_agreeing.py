"""Alice meets an app, and decides: from the app's own page and back to it, with and without JavaScript."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from browser_world import Window

from gateway.cli.demo_setup import Demo
from tests.worlds.demo import Resident, newcomer, signed_in


def hours_read(window: Window) -> int:
    found = re.search(r"(\d+) hours read", window.text())
    assert found, window.text()
    return int(found.group(1))


def test_alice_connects_signs_in_links_agrees_and_sees_her_chart(opens: Any, alice: Resident, js: bool) -> None:
    window: Window = opens(js=js).connect()
    assert window.is_at("gateway") and window.path == "/sign-in"
    window.sign_in(alice)
    assert window.title == "Link your account first"
    window.link_city_energy()
    window.page.wait_for_selector("button[name=decision][value=allow]")
    assert window.is_at("gateway")
    assert all(words in window.title for words in ("Watt Coach", "read your data", "City Energy"))
    window.choose_accounts("city-energy").last_for("d30").decide("allow")
    window.page.wait_for_url(window.world.url("watt-coach") + "/")
    assert window.page.locator("svg.chart rect").count() >= 12
    assert hours_read(window) > 8000


def test_what_alice_leaves_unticked_the_app_does_not_see(opens: Any, linked: Resident, js: bool) -> None:
    window: Window = opens(linked, js=js).at_the_question()
    boxes = window.page.locator(".consent input[type=checkbox]")
    assert boxes.count() == 3 and window.page.locator(".consent input[type=checkbox]:checked").count() == 0
    window.choose_accounts("city-energy").last_for("once").decide("allow")
    window.page.wait_for_url(window.world.url("watt-coach") + "/")
    of_one_meter = hours_read(window)
    assert "Your statements" not in window.text()

    window = opens(linked, js=js).at_the_question()
    window.choose_accounts("city-energy", 2).tick("city-energy:energy.electricity.summary").decide("allow")
    window.page.wait_for_url(window.world.url("watt-coach") + "/")
    assert hours_read(window) == 2 * of_one_meter
    assert "Your statements" in window.text()


def test_alice_takes_one_meter_back_and_the_other_goes_on(opens: Any, linked: Resident, js: bool) -> None:
    window: Window = opens(linked, js=js).at_the_question()
    window.choose_accounts("city-energy", 2).decide("allow")
    window.page.wait_for_url(window.world.url("watt-coach") + "/")
    of_both = hours_read(window)
    window.go("/sharings").click("View")
    window.click(window.page.locator("input[name=remove][value^='account:']").first, stays=True)
    window.click("Remove the ticked data", "button")
    assert window.page.locator("input[name=remove]").count() == 0, "one type of data from one meter is left"
    window.go("/", "watt-coach").click("Refresh")
    assert 2 * hours_read(window) == of_both


def test_alice_takes_one_type_of_data_back_and_the_rest_goes_on(opens: Any, linked: Resident, js: bool) -> None:
    window: Window = opens(linked, js=js).at_the_question()
    window.choose_accounts("city-energy").tick("city-energy:energy.electricity.summary").decide("allow")
    window.page.wait_for_url(window.world.url("watt-coach") + "/")
    assert "Your statements" in window.text()
    window.go("/sharings").click("View")
    window.click(window.page.locator("input[name=remove][value$='energy.electricity.summary']"), stays=True)
    window.click("Remove the ticked data", "button")
    assert "Not shared" in window.text()
    window.go("/", "watt-coach").click("Refresh")
    assert hours_read(window) > 8000 and "Your statements" not in window.text()


def test_refusing_takes_one_click_and_the_app_is_told_properly(opens: Any, linked: Resident, js: bool) -> None:
    window: Window = opens(linked, js=js)
    answers: list[dict[str, list[str]]] = []
    referers: list[str | None] = []

    def note(request: Any) -> None:
        if urlsplit(request.url).path == "/callback":
            answers.append(parse_qs(urlsplit(request.url).query))
            referers.append(request.headers.get("referer"))

    window.page.on("request", note)
    window.at_the_question().decide("refuse")
    window.page.wait_for_url(window.world.url("watt-coach") + "/**")
    assert "You said no" in window.text()
    (answer,) = answers
    assert answer["error"] == ["access_denied"] and answer["iss"] == [window.world.url("gateway")]
    assert len(answer["state"][0]) > 20 and "code" not in answer
    assert referers == [None]
    assert "Nothing fits" in window.go("/sharings?status=active").text()


def test_the_language_switch_keeps_the_pending_request(opens: Any, linked: Resident, js: bool) -> None:
    window: Window = opens(linked, js=js).at_the_question()
    window.click("Français", "button")
    assert "Watt Coach demande à lire vos données chez" in window.title
    assert window.page.locator("html").get_attribute("lang") == "fr"
    window.choose_accounts("city-energy").decide("allow")
    window.page.wait_for_url(window.world.url("watt-coach") + "/")
    assert hours_read(window) > 8000


def test_not_you_keeps_the_pending_request_for_the_right_person(
    opens: Any, world: Demo, linked: Resident, js: bool
) -> None:
    bob = newcomer(world, "Bob Leroy")
    bob.links("city-energy")
    window: Window = opens(linked, js=js).at_the_question()
    window.click("Not you?", "button")
    assert window.path == "/sign-in"
    window.sign_in(bob)
    assert "Watt Coach" in window.title and "You: Bob Leroy" in window.text()
    window.choose_accounts("city-energy").decide("allow")
    window.page.wait_for_url(window.world.url("watt-coach") + "/")
    assert "Watt Coach" in bob.visitor.get(f"{bob.gateway}/sharings").text
    alice = signed_in(world, linked.name, linked.email)  # "not you?" ended the sign-in that she had
    assert "You share nothing" in alice.visitor.get(f"{alice.gateway}/sharings").text


def test_the_back_button_leads_to_no_second_decision(opens: Any, linked: Resident, js: bool) -> None:
    window: Window = opens(linked, js=js).shares()
    window.page.go_back()
    window.page.go_back()
    assert window.page.locator("main").count() == 1
    window.go("/sharings")
    assert window.page.locator("article.sharing").count() == 1


def test_allow_with_no_account_chosen_says_so_and_records_nothing(opens: Any, linked: Resident, js: bool) -> None:
    window: Window = opens(linked, js=js).at_the_question().decide("allow")
    summary = window.page.locator(".error-summary")
    assert summary.count() == 1 and window.page.title().startswith("Error:")
    assert window.page.evaluate("document.activeElement.className") == "error-summary"
    target = summary.locator("a").first.get_attribute("href")
    assert window.page.locator(str(target)).count() == 1
    assert "Nothing fits" in linked.visitor.get(f"{linked.gateway}/sharings?status=active").text


def test_chloe_is_under_age_and_alice_her_guardian_decides(opens: Any, world: Demo, js: bool) -> None:
    chloe = resident_of_the_demo(world, "Chloé Petit", "chloe@example.org")
    alice = resident_of_the_demo(world, "Alice Martin", "alice@example.org")
    window: Window = opens(chloe, js=js).connect()
    assert window.title == "Your guardian has to agree"
    assert window.page.locator("button[value=allow]").count() == 0
    window.click("My guardian signs in now", "button").sign_in(alice)
    assert "Chloé Petit" in window.title
    window.decide("refuse")
    window.page.wait_for_url(window.world.url("watt-coach") + "/**")


def resident_of_the_demo(world: Demo, name: str, email: str) -> Resident:
    one = signed_in(world, name, email)
    if "/organisations/city-energy/unlink" not in one.visitor.get(f"{one.gateway}/organisations").body:
        one.links("city-energy")
    return one

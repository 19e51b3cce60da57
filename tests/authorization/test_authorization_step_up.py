"""A surer or a later sign-in, for which the app asks or which the data needs (RFC 9470)."""

import shutil

import pytest
from authorization_world import answered, bank, usage

from gateway.catalogue import Catalogue
from gateway.settings import shipped_policies
from tests.tokens import claims

ONE, TWO = "urn:aval:acr:one-factor", "urn:aval:acr:two-factors"


def again(answer):
    """The sign-in page to which the person is sent."""
    assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?again=1"), answer.text[:300]


@pytest.fixture
def needs(world, tmp_path):
    """From now on electricity use needs this sign-in."""

    def changed(lines, dataset="energy.electricity.usage"):
        folder = shutil.copytree(shipped_policies(), tmp_path / "policies", dirs_exist_ok=True)
        name, whole = f"{dataset.partition('.')[0]}.toml", f'id = "{dataset}"\n'
        file = shipped_policies() / "datasets" / name
        assert file.read_text().count(whole) == 1
        (folder / "datasets" / name).write_text(file.read_text().replace(whole, f"{whole}{lines}\n"))
        object.__setattr__(world.house, "catalogue", Catalogue(folder))

    return changed


def test_tokens_and_introspection_say_how_and_when_she_signed_in(world):
    signed_in = int(world.clock.now.timestamp())
    browser = world.browser("alice", ("pwd", "otp"))
    world.clock.passes(seconds=30)
    body = world.redeem(answered(world.agree(browser, world.pushed("budget"), **BANK))["code"], "budget").json()
    for said in (
        claims(body["access_token"]),
        world.introspect(body["access_token"]).json(),
        world.introspect(body["refresh_token"]).json(),
        claims(world.refresh(body["refresh_token"], "budget").json()["access_token"]),
    ):
        assert (said["acr"], said["auth_time"]) == (TWO, signed_in)
    weak = world.tokens("meter")
    assert claims(weak["access_token"])["acr"] == ONE


BANK = {"accounts:harbour-bank": "account-1"}


# ---- the app asks


def test_acr_values_lead_to_a_new_sign_in_before_she_is_asked(world):
    address, browser = world.pushed(acr_values=TWO), world.browser("alice")
    world.clock.passes(seconds=5)
    again(browser.get(address))
    world.clock.passes(seconds=5)
    world.sign_in(browser, "alice", ("pwd", "otp"))
    body = world.redeem(answered(world.agree(browser, address))["code"]).json()
    said = claims(body["access_token"])
    assert (said["acr"], said["auth_time"]) == (TWO, int(world.clock.now.timestamp()))


def test_who_cannot_sign_in_so_gives_nothing(world):
    address, browser = world.pushed(acr_values=TWO), world.browser("alice")
    world.clock.passes(seconds=5)
    again(browser.get(address))
    world.clock.passes(seconds=5)
    world.sign_in(browser, "alice")
    told = answered(browser.get(address))
    assert (told["error"], told["state"]) == ("unmet_authentication_requirements", "a state")


def test_of_several_the_least_will_do(world):
    assert "code" in answered(world.agree(world.browser("alice"), world.pushed(acr_values=f"{TWO} {ONE}")))


def test_names_that_nobody_knows_are_a_wish_that_is_passed_over(world):
    assert "code" in answered(world.agree(world.browser("alice"), world.pushed(acr_values="urn:x phr")))
    browser = world.browser("alice")
    world.clock.passes(seconds=1)
    found = browser.get(world.pushed(acr_values=f"urn:x {TWO}"))
    assert found.status_code == 303 and "again=1" in found.headers["location"], "what is known beside them counts"


def test_an_essential_acr_counts_before_acr_values(site_of):
    world, wanted = site_of, '{"id_token": {"acr": {"essential": true, "value": "%s"}}}'
    address = world.pushed("site", claims=wanted % ONE, acr_values=TWO, scope="openid")
    browser = world.browser("alice")
    assert "code" in answered(world.agree(browser, address))


@pytest.fixture
def site_of(world):
    world.register("site", profile="oidc", token_endpoint_auth_method="client_secret_basic", purposes=["sign-in"],
                   data=[])  # fmt: skip
    return world


def test_stepping_up_asks_nothing_again_that_she_agreed_to(world):
    """She agreed with one factor; the app comes back with the challenge of a data call."""
    browser = world.browser("alice")
    first = world.redeem(answered(world.agree(browser, world.pushed()))["code"]).json()
    world.clock.passes(minutes=20)
    address = world.pushed(acr_values=TWO, max_age=300)
    again(browser.get(address))
    world.clock.passes(seconds=5)
    world.sign_in(browser, "alice", ("pwd", "otp"))
    page = browser.get(address)
    assert "/authorize/continue" in page.text
    world.clock.passes(seconds=5)
    silently = world.pushed(acr_values=TWO, max_age=300, prompt="none")
    code = browser.get(silently).headers["location"].partition("code=")[2].partition("&")[0]
    second = world.redeem(code).json()
    assert second["grant_id"] == first["grant_id"]
    assert claims(second["access_token"])["acr"] == TWO


def test_prompt_none_shows_no_sign_in(world):
    browser = world.browser("alice")
    world.agree(browser, world.pushed())
    world.clock.passes(seconds=5)
    assert "error=login_required" in browser.get(world.pushed(acr_values=TWO, prompt="none")).headers["location"]


def test_another_persons_sure_sign_in_is_of_no_use_to_mallory(world):
    address = world.pushed(acr_values=TWO)
    world.agree(world.browser("alice", ("pwd", "otp")), address)
    world.clock.passes(seconds=5)
    mallory = world.browser("mallory")
    assert mallory.get(address).status_code in (303, 403)
    assert "code=" not in mallory.get(address).headers.get("location", "")


# ---- the data needs it


def test_the_screen_for_such_data_comes_after_such_a_sign_in(world, needs):
    needs(f'acr = "{TWO}"')
    address, browser = world.pushed(), world.browser("alice")
    world.clock.passes(seconds=5)
    again(browser.get(address))
    world.clock.passes(seconds=5)
    world.sign_in(browser, "alice")
    assert answered(browser.get(address))["error"] == "unmet_authentication_requirements"
    world.sign_in(browser, "alice", ("hwk", "user"))
    assert "code" in answered(world.agree(browser, address))


def test_one_that_was_long_ago_is_done_anew(world, needs):
    needs("max_age = 300")
    browser = world.browser("alice")
    world.clock.passes(seconds=400)
    address = world.pushed()
    again(browser.get(address))
    world.sign_in(browser, "alice")
    screen = browser.get(address)
    world.clock.passes(seconds=400)  # she reads it slowly
    assert screen.status_code == 200 and "code" in answered(world.agree(browser, address))


def test_what_she_may_leave_out_does_not_keep_her_from_the_rest(world, needs):
    needs(f'acr = "{TWO}"', "bank.balances")
    optional = {**bank(), "datatypes": ["bank.balances"], "fields": ["balance.amount"], "necessity": "optional"}
    address, browser = world.pushed("budget", [bank(), optional]), world.browser("alice")
    world.clock.passes(seconds=5)
    again(browser.get(address))
    world.clock.passes(seconds=5)
    world.sign_in(browser, "alice")
    assert "code" in answered(world.agree(browser, address, **BANK))


def test_other_data_needs_no_other_sign_in(world, needs):
    needs(f'acr = "{TWO}"', "bank.balances")
    assert "code" in answered(world.agree(world.browser("alice"), world.pushed(details=[usage()])))

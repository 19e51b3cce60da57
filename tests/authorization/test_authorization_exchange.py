"""Token exchange (RFC 8693): an app's processor gets a token of its own, a representative one that says who looks."""

import json

import pytest
from authorization_world import CALLBACK, ISSUER, answered, declaration, usage
from client_keys import EC, KEYS, proof, thumbprint

from gateway.apps import declare
from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent
from gateway.errors import DeclarationError
from gateway.organisations.tables import Organisation
from gateway.people import accounts
from gateway.people.tables import Person
from tests.tokens import claims

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
ENERGY, BANK = f"{ISSUER}/data/city-energy", f"{ISSUER}/data/harbour-bank"
PROVEN = {"token_endpoint_auth_method": "client_secret_basic", "grant_types": ["authorization_code", EXCHANGE]}
BILLS = {"name": "Bills Ltd", "role": "printing", "country": "FR", "client_id": "bills"}
CLOUD = {"name": "Cloud SA", "role": "hosting", "country": "FR"}


@pytest.fixture(autouse=True)
def processors(world):
    """`coach` passes data on to `bills`; `mallory` is registered for the grant, too, and nobody's recipient."""
    for name in ("bills", "mallory"):
        world.register(name, **PROVEN)
    world.register("coach", recipients=[CLOUD, BILLS])


@pytest.fixture
def hers(world):
    """The token that `coach` has of Alice."""
    return world.tokens("coach")["access_token"]


def exchange(world, token, app="bills", shown=None, **form):
    sent = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS, **form}
    headers = {"dpop": shown} if shown else {}
    return world.post("/token", {name: value for name, value in sent.items() if value is not None}, app, **headers)


def error(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert "access_token" not in answer.json()
    return answer.json()["error"]


def alive(world, token, app="bills"):
    return world.introspect(token, app).json()["active"]


# ---- an app's processor


def test_a_processor_gets_a_token_of_its_own_that_says_who_acts(world, hers):
    world.clock.passes(seconds=60)
    answer = exchange(world, hers)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    body, held, now = answer.json(), claims(hers), int(world.clock.now.timestamp())
    said = claims(body.pop("access_token"))
    assert body.pop("authorization_details")[0]["datatypes"] == ["energy.electricity.usage"]
    assert body == {"issued_token_type": ACCESS, "token_type": "Bearer", "expires_in": 240, "scope": "data_access"}
    assert (said["client_id"], said["act"], said["grant_client"]) == ("bills", {"sub": "bills"}, "coach")
    assert (said["aud"], said["iat"], said["exp"]) == ([ENERGY], now, held["exp"])
    assert (said["grant_id"], said["fam"]) == (held["grant_id"], held["fam"])
    assert said["jti"] != held["jti"] and said["sub"] != held["sub"]  # each app knows her by another name


@pytest.mark.parametrize("ahead", [0, 299])
def test_it_never_lives_longer_than_the_token_it_was_exchanged_for(world, hers, ahead):
    world.clock.passes(seconds=ahead)
    assert claims(exchange(world, hers).json()["access_token"])["exp"] == claims(hers)["exp"]


def test_mallory_who_is_no_recipient_gets_nothing(world, hers):
    assert error(exchange(world, hers, "mallory")) == "invalid_request"
    assert error(exchange(world, hers, "budget")) == "unauthorized_client"  # it did not register for the grant
    assert error(exchange(world, hers, "coach")) == "unauthorized_client"
    nobody = {"grant_type": EXCHANGE, "subject_token": hers, "subject_token_type": ACCESS, "client_id": "bills"}
    assert error(world.post("/token", nobody, None), 401) == "invalid_client"


def test_who_is_named_by_the_app_but_not_in_what_she_agreed_to_gets_nothing(world):
    before = world.tokens("other")["access_token"]
    world.register("other", recipients=[BILLS])
    assert error(exchange(world, before)) == "invalid_request"


def test_who_is_named_in_what_she_agreed_to_but_by_the_app_no_more_gets_nothing(world, hers):
    token = exchange(world, hers).json()["access_token"]
    assert alive(world, token)
    world.register("coach", recipients=[{**BILLS, "client_id": "mallory"}])
    assert error(exchange(world, hers)) == error(exchange(world, hers, "mallory")) == "invalid_request"
    assert not alive(world, token)


def test_a_recipient_without_a_client_id_is_no_processor(world):
    world.register("other", recipients=[{name: value for name, value in BILLS.items() if name != "client_id"}])
    assert error(exchange(world, world.tokens("other")["access_token"])) == "invalid_request"


@pytest.mark.parametrize(
    "form",
    [
        {"subject_token": None},
        {"subject_token": ""},
        {"subject_token": "x.y.z"},
        {"subject_token_type": None},
        {"subject_token_type": ID_TOKEN},
        {"subject_token_type": "access_token"},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"requested_token_type": ID_TOKEN},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:saml2"},
        {"actor_token_type": ID_TOKEN},
        {"actor_token": "x.y.z"},
        {"actor_token": "x.y.z", "actor_token_type": ACCESS},
        {"actor_token": "x.y.z", "actor_token_type": ID_TOKEN},
    ],
)
def test_a_form_that_rfc_8693_does_not_allow_is_refused(world, hers, form):
    assert error(exchange(world, hers, **form)) == "invalid_request"
    assert exchange(world, hers, requested_token_type=ACCESS).status_code == 200


def test_a_parameter_given_twice_is_refused(world, hers):
    sent = {"grant_type": EXCHANGE, "subject_token": [hers, hers], "subject_token_type": ACCESS}
    assert error(world.post("/token", sent, "bills")) == "invalid_request"


def test_no_token_of_another_kind_or_issuer_is_exchanged(world, hers):
    keys, held = world.house.keys, claims(hers)
    for changes in ({"iss": "https://mallory.example"}, {"fam": "unknown"}, {"client_id": "bills"}, {"aud": ISSUER}):
        assert error(exchange(world, keys.sign({**held, **changes}, typ="at+jwt"))) == "invalid_request"
    assert error(exchange(world, keys.sign(held, typ="JWT"))) == "invalid_request"
    assert error(exchange(world, hers[:-4] + "AAAA")) == "invalid_request"
    assert error(exchange(world, world.tokens("coach")["refresh_token"])) == "invalid_request"
    world.register("robot", token_endpoint_auth_method="client_secret_basic", recipients=[BILLS],
                   grant_types=["authorization_code", "client_credentials"])  # fmt: skip
    own = world.post("/token", {"grant_type": "client_credentials", "scope": "grant_management_query"}, "robot")
    assert error(exchange(world, own.json()["access_token"])) == "invalid_request"


def test_an_expired_token_is_not_exchanged(world, hers):
    world.clock.passes(seconds=301)
    assert error(exchange(world, hers)) == "invalid_request"


def test_an_exchanged_token_is_not_exchanged_again(world, hers):
    world.register("printer", **PROVEN)
    world.register("bills", **PROVEN, recipients=[{**BILLS, "client_id": "printer"}])
    world.register("coach", recipients=[BILLS, {**BILLS, "client_id": "printer"}])
    hers = world.tokens("coach")["access_token"]
    token = exchange(world, hers).json()["access_token"]
    assert exchange(world, hers, "printer").status_code == 200
    assert error(exchange(world, token, "printer")) == error(exchange(world, token)) == "invalid_request"


# ---- for less, never for more


def test_audience_and_resource_narrow_and_never_widen(world, hers):
    for name in ("resource", "audience"):
        assert claims(exchange(world, hers, **{name: ENERGY}).json()["access_token"])["aud"] == [ENERGY]
        for beyond in (BANK, ISSUER, f"{ISSUER}/userinfo", "city-energy", f"{ENERGY}/", f"{ENERGY} {BANK}"):
            assert error(exchange(world, hers, **{name: beyond})) == "invalid_target"
        assert error(exchange(world, hers, **{name: [ENERGY, BANK]})) == "invalid_target"


@pytest.mark.parametrize("scope", ["openid", "data_access openid", "energy:usage", "*", "data_access bank:balances"])
def test_a_scope_beyond_the_tokens_is_refused(world, hers, scope):
    assert error(exchange(world, hers, scope=scope)) == "invalid_scope"
    assert error(exchange(world, hers, authorization_details="[]")) == "invalid_authorization_details"


DATASETS = ("energy.electricity.usage", "energy.electricity.summary")


@pytest.fixture
def plain(world):
    """`plain` asks by scopes of City Energy, one for each type of data."""
    scopes = [
        {"id": f"energy:{number}", "purpose": "energy-advice", "valid_for": "P3M", "retention": "P1M",
         "data": [{"dataset": name, "history": "P1M"}]}
        for number, name in enumerate(DATASETS)
    ]  # fmt: skip
    with world.house.store.write() as session:
        row = session.get_one(Organisation, "city-energy")
        row.declaration, row.declaration_sha256 = {**row.declaration, "scope": scopes}, "with scopes"
    world.register("plain", scope="energy:0 energy:1", recipients=[BILLS])
    return world


def test_fewer_scopes_are_good_for_less_data(plain):
    world = plain
    body = world.tokens("plain", scope="energy:0 energy:1", **{"authorization_details": None})
    token = body["access_token"]
    assert [one["datatypes"][0] for one in body["authorization_details"]] == list(DATASETS)
    less = exchange(world, token, scope="energy:1").json()
    assert less["scope"] == "energy:1"
    (part,) = claims(less["access_token"])["authorization_details"]
    assert part["datatypes"] == ["energy.electricity.summary"]
    assert [one["datatypes"] for one in less["authorization_details"]] == [[DATASETS[1]]]
    told = world.introspect(less["access_token"], "bills").json()
    assert told["authorization_details"] == less["authorization_details"]
    assert "authorization_details" not in claims(exchange(world, token).json()["access_token"])


def test_a_token_for_less_gives_no_more(plain):
    """A part asked for at the token endpoint is all that the exchanged token carries, whatever its scopes."""
    body = plain.tokens("plain", scope="energy:0 energy:1", **{"authorization_details": None})
    asked = json.dumps([one for one in body["authorization_details"] if one["datatypes"] == [DATASETS[0]]])
    narrow = plain.refresh(body["refresh_token"], "plain", authorization_details=asked).json()["access_token"]
    held = exchange(plain, narrow).json()
    assert [one["datatypes"] for one in held["authorization_details"]] == [[DATASETS[0]]]
    assert [one["datatypes"] for one in claims(held["access_token"])["authorization_details"]] == [[DATASETS[0]]]
    less = exchange(plain, body["access_token"], authorization_details=asked).json()
    assert less["authorization_details"] == held["authorization_details"], "or asked for with the exchange"
    every = json.dumps(body["authorization_details"])
    assert exchange(plain, narrow, authorization_details=every).json()["error"] == "invalid_authorization_details"
    nothing = exchange(plain, narrow, scope="energy:1")
    assert (nothing.status_code, nothing.json()["error"]) == (400, "invalid_scope")


def test_what_was_asked_by_details_stays_with_their_scope_alone(plain):
    token = plain.tokens("plain", details=[usage(valid_for="P3M")], scope="energy:1 data_access")["access_token"]
    kept = {}
    for scope in ("data_access", "energy:1", "energy:1 data_access"):
        body = exchange(plain, token, scope=scope).json()
        kept[scope] = [one["datatypes"][0] for one in body["authorization_details"]]
    assert kept == {"data_access": [DATASETS[0]], "energy:1": [DATASETS[1]], "energy:1 data_access": list(DATASETS)}


def test_who_signed_in_is_not_passed_on(world):
    purposes = ["energy-advice", "sign-in"]
    world.register("site", **PROVEN, purposes=purposes, recipients=[BILLS], scope="openid")
    alone = world.tokens("site", scope="openid")["access_token"]
    assert error(exchange(world, alone)) == "invalid_target"


# ---- bound as strongly


def test_it_is_bound_to_the_processors_own_key(world):
    world.register("careful", recipients=[BILLS], dpop_bound_access_tokens=True)
    code = world.code("careful")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": "v" * 43}
    token = world.post("/token", form, "careful", dpop=proof(world)).json()["access_token"]
    assert error(exchange(world, token)) == "invalid_request"  # nobody takes the binding off
    own = EC("of bills")
    body = exchange(world, token, shown=proof(world, key=own)).json()
    assert (body["token_type"], claims(body["access_token"])["cnf"]) == ("DPoP", {"jkt": thumbprint(own)})
    assert thumbprint(own) != thumbprint(KEYS["ES256"])


# ---- its end


def test_it_ends_with_the_agreement_the_family_and_the_apps(world):
    def fresh():
        body = world.tokens("coach")
        return body, exchange(world, body["access_token"]).json()["access_token"]

    body, token = fresh()
    assert alive(world, token)
    world.post("/revoke", {"token": body["refresh_token"]}, "coach")
    assert not alive(world, token) and error(exchange(world, body["access_token"])) == "invalid_request"
    body, token = fresh()
    with world.house.store.write() as session:
        consent = session.get_one(Consent, body["grant_id"])
        deciding.pause(session, world.house.log, consent, herself("alice"), world.clock.now)
    assert not alive(world, token) and error(exchange(world, body["access_token"]), 403) == "access_denied"
    with world.house.store.write() as session:
        consent = session.get_one(Consent, body["grant_id"])
        deciding.end(session, world.house.log, consent, herself("alice"), EndReason.WITHDRAWN, world.clock.now)
    assert not alive(world, token) and error(exchange(world, body["access_token"])) == "invalid_request"
    body, token = fresh()
    world.suspend("coach")
    assert not alive(world, token) and error(exchange(world, body["access_token"])) == "invalid_request"


def test_a_suspended_processor_gets_nothing(world, hers):
    world.suspend("bills")
    assert error(exchange(world, hers)) == "unauthorized_client"


def test_introspection_tells_the_processor_and_nobody_else(world, hers):
    token = exchange(world, hers).json()["access_token"]
    told = world.introspect(token, "bills").json()
    assert (told["active"], told["client_id"], told["act"]) == (True, "bills", {"sub": "bills"})
    assert not alive(world, token, "mallory") and not alive(world, hers)
    world.clock.passes(seconds=301)
    assert not alive(world, token)


def test_a_processor_cannot_end_the_apps_connection(world):
    body = world.tokens("coach")
    token = exchange(world, body["access_token"]).json()["access_token"]
    assert error(world.post("/revoke", {"token": token}, "bills")) == "unsupported_token_type"
    assert world.post("/revoke", {"token": token}, "mallory").status_code == 200
    assert alive(world, token) and world.refresh(body["refresh_token"], "coach").status_code == 200


def test_it_opens_nothing_that_we_know_of_her_ourselves(world, hers):
    token = exchange(world, hers).json()["access_token"]
    answer = world.browser().get("/userinfo", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401


# ---- a representative


@pytest.fixture
def family(world):
    """`family` reads Chloe's data by Alice's leave, and signs Alice in."""
    world.register("family", **PROVEN, purposes=["energy-advice", "sign-in"], scope="openid", recipients=[BILLS])
    return world


def childs(world):
    address = world.pushed("family")
    world.browser("chloe").get(address)
    final = world.agree(world.browser("alice"), address)
    return world.redeem(answered(final)["code"], "family").json()["access_token"]


def signed_in(world, person="alice", app="family"):
    return world.tokens(app, person, scope="openid")["id_token"]


def for_her(world, token, id_token, app="family", **form):
    return exchange(world, token, app, **{"actor_token": id_token, "actor_token_type": ID_TOKEN, **form})


def test_a_guardians_token_says_that_she_looks(family):
    token, id_token = childs(family), signed_in(family)
    answer = for_her(family, token, id_token)
    assert answer.status_code == 200, answer.text
    said, held = claims(answer.json()["access_token"]), claims(token)
    assert (said["client_id"], said["sub"]) == ("family", held["sub"])
    assert said["act"] == {"sub": claims(id_token)["sub"]} and "grant_client" not in said
    assert said["exp"] <= held["exp"] and said["aud"] == held["aud"]
    assert alive(family, answer.json()["access_token"], "family")
    assert error(for_her(family, answer.json()["access_token"], id_token)) == "invalid_request"


def test_nobody_who_does_not_decide_for_the_child_acts_for_her(family):
    token = childs(family)
    assert error(for_her(family, token, signed_in(family, "mallory"))) == "invalid_request"
    assert error(for_her(family, token, signed_in(family, "bob"))) == "invalid_request"
    id_token = signed_in(family)
    for whose in ("bob", "alice"):  # a stranger's, and her own: in her own place she needs nobody
        token = family.tokens("family", whose)["access_token"]
        assert error(for_her(family, token, id_token)) == "invalid_request"


def test_an_id_token_of_another_app_or_an_old_one_is_none(family):
    token, id_token = childs(family), signed_in(family)
    family.register("site", **PROVEN, purposes=["sign-in"], data=[], scope="openid")
    assert error(for_her(family, token, signed_in(family, app="site"))) == "invalid_request"
    assert error(for_her(family, token, id_token[:-4] + "AAAA")) == "invalid_request"
    assert error(for_her(family, token, token)) == "invalid_request"
    assert error(for_her(family, token, id_token, "bills")) == "invalid_request"  # nor has another app a say
    family.clock.passes(seconds=301)
    assert error(for_her(family, childs(family), id_token)) == "invalid_request"


def test_a_guardian_no_more_acts_no_more(family):
    token, id_token = childs(family), signed_in(family)
    before = for_her(family, token, id_token).json()["access_token"]
    with family.house.store.write() as session:
        accounts.appoint_guardian(session, session.get_one(Person, "chloe"), None, family.clock.now.date(), 15)
    assert error(for_her(family, token, id_token)) == "invalid_request"
    assert not alive(family, before, "family")


# ---- registration


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"token_endpoint_auth_method": "none", "grant_types": ["authorization_code", EXCHANGE]}, "grant_types"),
        ({"recipients": [{**BILLS, "client_id": "app"}]}, "recipients[0].client_id"),
        ({"recipients": [{**BILLS, "client_id": "two words"}]}, "recipients[0].client_id"),
        ({"recipients": [{**BILLS, "client_id": ""}]}, "recipients[0].client_id"),
    ],
)
def test_a_registration_that_cannot_work_is_refused(tmp_path, changes, key):
    with pytest.raises(DeclarationError) as refused:
        declare.parse(declaration("app", **changes), tmp_path / "app.toml")
    assert [fault.key for fault in refused.value.faults] == [key]


def test_the_metadata_names_the_grant(world):
    metadata = world.browser().get("/.well-known/oauth-authorization-server").json()
    assert EXCHANGE in metadata["grant_types_supported"]

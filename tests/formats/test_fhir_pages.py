"""However an insurer links its pages, an app gets a sealed token; its own words never leave, and nothing widens."""

import json
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from fhir.resources.R4B.bundle import Bundle
from format_documents import (
    ALWAYS,
    BASES,
    HEALTH,
    MINE,
    OTHER,
    TYPES,
    YEAR,
    asked,
    bundle,
    claim,
    coverage,
    granted,
    patient,
    plan,
    sent,
    source,
)

from gateway import exports
from gateway.formats import registry
from gateway.formats.model import Account, Cut, Denied, Plan, UnknownShape, Upstream

CLAIMS = "/ExplanationOfBenefit"
BASE = BASES["health"]
SPELT = MINE.ref.replace("_", "-")
GATEWAY = source("health").gateway_url + BASE
MATE = Account("native-4712", "pairwise_ref-of-aliceC")
WHOSE = ("patient", MINE.native)


def answer(of: Plan, call: Upstream, window=ALWAYS, **links: str) -> Cut:
    """Of an insurer that links so; `prev` is written as it stands."""
    found = [{"relation": relation, "url": url} for relation, url in links.items()]
    return of.cut(call, TYPES["health"], bundle([claim()], found), window)


def addresses(found: Cut) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in json.loads(found.body)["link"]}


def followed(of: Plan, address: str, window=ALWAYS, **instead: str) -> Upstream | Denied:
    """The call that an app makes which follows a link, with parameters of its own in place of some."""
    parts = urlsplit(address)
    path = parts.path.removeprefix(urlsplit(GATEWAY).path)
    query = [(name, instead.pop(name, value)) for name, value in parse_qsl(parts.query)]
    return of.request(asked("health", path, *query, *instead.items()), window)


def next_call(of: Plan, url: str, *query: tuple[str, str], window=ALWAYS) -> Upstream:
    found = answer(of, sent(of, "health", CLAIMS, *query, window=window), window, next=url)
    Bundle.model_validate_json(found.body)
    assert found.following == addresses(found)["next"] and not found.notice
    again = followed(of, found.following, window)
    assert isinstance(again, Upstream) and again.continues, again
    return again


# ---- the ways of servers

OPAQUE = "eyJ0b2tlbiI6IitSSUQ6fkFBIn0="
STYLES = {
    "HAPI": (f"https://org.example{BASE}?_getpages=8f3c-11&_getpagesoffset=10&_count=10&_pretty=true&_bundletype=searchset",
             BASE, {"_getpages": "8f3c-11", "_getpagesoffset": "10", "_bundletype": "searchset"}),
    "HAPI behind another name": ("http://hapi-0.internal:8080/fhir?_getpages=8f3c-11&_getpagesoffset=10", BASE,
                                 {"_getpages": "8f3c-11", "_getpagesoffset": "10"}),
    "HAPI at a base in capitals": ("https://fhir.example/FHIR?_getpages=8f3c-11", BASE, {"_getpages": "8f3c-11"}),
    "HAPI at a root": ("http://hapi-0.internal:8080?_getpages=8f3c-11", BASE, {"_getpages": "8f3c-11"}),
    "HAPI at a root with a slash": ("http://hapi-0.internal:8080/?_getpages=8f3c-11", BASE, {"_getpages": "8f3c-11"}),
    "HAPI, relative": (f"{BASE}?_getpages=8f3c-11", BASE, {"_getpages": "8f3c-11"}),
    "HAPI, relative to where": ("fhir?_getpages=8f3c-11", BASE, {"_getpages": "8f3c-11"}),
    "Microsoft": (f"https://workspace.fhir.example/ExplanationOfBenefit?_count=10&ct={OPAQUE.replace('=', '%3D')}",
                  BASE + CLAIMS, {"_count": "10", "ct": OPAQUE}),
    "Google": ("https://healthcare.example/v1/projects/p/fhirStores/s/fhir/ExplanationOfBenefit/?_page_token=Cjj3YokQdAIZZ",
               BASE + CLAIMS, {"_page_token": "Cjj3YokQdAIZZ"}),
    "IBM, LinuxForHealth": ("https://localhost:9443/fhir-server/api/v4/ExplanationOfBenefit?_count=10&_page=2",
                            BASE + CLAIMS, {"_count": "10", "_page": "2"}),
    "Blue Button": (f"https://org.example{BASE}/ExplanationOfBenefit?_format=application%2Fjson%2Bfhir&startIndex=10"
                    f"&_count=10&patient={MINE.native}", BASE + CLAIMS,
                    {"_format": "application/json+fhir", "startIndex": "10", "_count": "10"}),
    "relative to the base": ("ExplanationOfBenefit?page=2", BASE + CLAIMS, {"page": "2"}),
    "relative to the page": ("?page=2", BASE + CLAIMS, {"page": "2"}),
    "a posted search": (f"https://org.example{BASE}/ExplanationOfBenefit/_search?page=2", BASE + CLAIMS, {"page": "2"}),
    "a path of its own": (f"https://org.example{BASE}/pages/8f3c-11", f"{BASE}/pages/8f3c-11", {}),
    "as it understood the search": ("ExplanationOfBenefit?patient:Patient=native-4711&page=2"
                                    "&_include=ExplanationOfBenefit:insurer",
                                    BASE + CLAIMS, {"_include": "ExplanationOfBenefit:insurer", "page": "2"}),
    "a very long cursor": (f"?cursor={'x' * 1900}", BASE + CLAIMS, {"cursor": "x" * 1900}),
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_however_a_server_pages_its_next_page_is_asked_for(style):
    url, path, query = STYLES[style]
    again = next_call(plan(granted("health.claims")), url)
    assert again.path == path and again.accounts == (MINE,)
    assert query.items() <= dict(again.query).items()
    assert dict(again.query).keys() - query.keys() - {"_pretty", "_count"} in ({"patient"}, {"patient:Patient"})
    assert [value for name, value in again.query if name.startswith("patient")] == [MINE.native]


@pytest.mark.parametrize("style", STYLES)
def test_the_page_after_the_next_follows_too_and_the_address_of_each_is_ours(style):
    url = STYLES[style][0]
    of = plan(granted("health.claims"))
    second = next_call(of, url)
    third = url.replace("8f3c-11", "8f3c-12").replace("=2", "=3").replace("=10", "=20").replace("xx", "yy")
    third = third.replace("ZZ", "YY").replace("%3D", "A")
    found = answer(of, second, next=third, previous=url.replace("=2", "=1").replace("8f3c-11", "8f3c-10"), self=url)
    links = addresses(found)
    assert links.keys() >= {"first", "self", "next"}
    assert all(url.startswith(f"{GATEWAY}/ExplanationOfBenefit?patient={SPELT}") for url in links.values())
    for text in ("internal", "8f3c", "localhost", "fhirStores", "include", "cursor", MINE.native):
        assert text not in found.body.decode()
    last = followed(of, links["next"])
    assert isinstance(last, Upstream) and last.continues
    assert (last.path, last.query) != (second.path, second.query)
    assert followed(of, links["self"]) == second
    first = followed(of, links["first"])
    assert isinstance(first, Upstream) and not first.continues and first.query == (WHOSE,)


def test_a_server_that_names_its_pages_by_numbers_of_the_person_shows_them_to_nobody():
    of = plan(granted("health.claims"))
    found = answer(of, sent(of, "health", CLAIMS), next=f"?cursor={MINE.native}-2")
    assert MINE.native not in found.body.decode() and MINE.native not in found.following
    assert dict(followed(of, found.following).query)["cursor"] == f"{MINE.native}-2"


def test_the_agreed_period_is_put_back_on_each_page_whatever_the_link_says():
    of = plan(granted("health.claims"))
    for url in (
        "?page=2",
        "?page=2&service-date=ge1999-01-01",
        "http://x.internal/fhir?_getpages=1&service-date=1999",
    ):
        again = next_call(of, url, ("service-date", "ge2025-03-01"), window=YEAR)
        dates = [value for name, value in again.query if name == "service-date"]
        assert dates == ["ge2025-03-01", "le2026-01-01"]


def test_a_page_after_the_agreed_period_has_changed_is_of_what_is_left_of_it():
    of = plan(granted("health.claims"))
    found = answer(of, sent(of, "health", CLAIMS, window=YEAR), YEAR, next="?page=2")
    later = replace(YEAR, start=YEAR.start.replace(month=6))
    again = followed(of, found.following, later)
    assert ("service-date", "ge2025-06-01") in again.query
    over = replace(YEAR, start=YEAR.start.replace(year=2027), end=None)
    refused = followed(of, found.following, over)
    assert isinstance(refused, Denied) and refused.reason == "period"


def test_what_the_app_asked_for_stays_in_its_addresses_and_the_next_page_is_as_the_server_has_it():
    of = plan(granted("health.claims"))
    query = (("type", "pharmacy"), ("_count", "5"), ("_lastUpdated", "ge2025-01-01"), ("_lastUpdated", "lt2026-01-01"))
    call = sent(of, "health", CLAIMS, *query)
    found = answer(of, call, next="http://x.internal/fhir?_getpages=1")
    links = addresses(found)
    again, first = followed(of, links["next"]), followed(of, links["first"])
    assert again.query == (WHOSE, ("_getpages", "1")) and first == call
    assert links["first"] == links["self"] and "type=pharmacy" in links["first"]


@pytest.mark.parametrize("native", ["-20140000010000", "a.b-c", "7", "12345678"])
def test_whatever_an_insurers_number_of_a_person_looks_like_her_pages_are_followed(native):
    of = plan(granted("health.claims", (), (Account(native, MINE.ref),)))
    found = of.cut(
        sent(of, "health", CLAIMS, ("_id", f"eob-{SPELT},x")),
        TYPES["health"],
        bundle([claim(native)], [{"relation": "next", "url": f"?patient={native}&page=2"}]),
        ALWAYS,
    )
    assert f"patient={SPELT}&_id=eob-{SPELT}%2Cx&page_token=" in found.following.replace(",", "%2C")
    again = followed(of, found.following)
    assert isinstance(again, Upstream) and again.query == (("patient", native), ("page", "2"))


def test_the_pages_of_a_public_sample_are_followed(shared):
    path = shared / "samples/health/bluebutton2/eob_bundle_bbuser29999.json"
    if not path.exists():
        pytest.skip("the public samples are not beside this checkout")
    alice = Account("-20140000010000", MINE.ref)
    of = plan(granted("health.claims", (), (alice,)))
    found = of.cut(sent(of, "health", CLAIMS), TYPES["health"], path.read_bytes(), ALWAYS)
    again = followed(of, found.following)
    assert again.continues and {("startIndex", "10"), ("patient", alice.native)} <= set(again.query)
    assert b"20140000010000" not in found.body


# ---- to whom a token belongs


def test_a_token_is_of_one_app_one_person_one_call_and_one_search():
    of = plan(granted("health.claims"), granted("health.coverage"))
    found = answer(of, sent(of, "health", CLAIMS, ("_count", "5")), next="?page=2").following
    token = dict(parse_qsl(urlsplit(found).query))["page_token"]
    other = plan(granted("health.claims", (), (Account(MINE.native, "another-apps-reference"),)))
    cases = [
        followed(other, found.replace(SPELT, "another-apps-reference")),
        followed(of, found, _count="6"),
        followed(of, found, type="pharmacy"),
        followed(of, found, page_token=token[:-2] + "AA"),
        followed(of, found, page_token="A" * 60),
        followed(of, found, page_token="short"),
        followed(of, found, page_token=""),
        followed(of, f"{found}&page_token={token}"),
        followed(of, found.partition("?")[0] + f"?page_token={token}"),
        of.request(asked("health", "/Coverage", ("beneficiary", SPELT), ("page_token", token)), ALWAYS),
        of.request(asked("health", f"{CLAIMS}/claim-1", ("page_token", token)), ALWAYS),
    ]  # fmt: skip
    for case in cases:
        assert isinstance(case, Denied) and (case.reason, case.term) == ("field", "page_token"), case
    assert isinstance(followed(of, found), Upstream)


def test_a_page_of_one_person_is_not_of_another():
    of = plan(granted("health.claims", (), (MINE, MATE)))
    both = answer(of, sent(of, "health", CLAIMS), next="?page=2")
    again = followed(of, both.following)
    assert again.accounts == (MINE, MATE)
    assert again.query == (("patient", f"{MINE.native},{MATE.native}"), ("page", "2"))
    hers = answer(of, sent(of, "health", CLAIMS, ("patient", MINE.ref)), next="?page=2")
    again = followed(of, hers.following)
    assert again.accounts == (MINE,) and again.query == (WHOSE, ("page", "2"))
    assert isinstance(followed(of, hers.following, patient=MATE.ref), Denied)
    assert isinstance(followed(of, hers.following, patient=OTHER.ref), Denied)


def test_a_page_that_an_app_names_itself_is_a_call_like_the_first():
    of = plan(granted("health.claims"))
    answer(of, sent(of, "health", CLAIMS), next="?startIndex=10")
    assert not sent(of, "health", CLAIMS, ("patient", SPELT), ("startIndex", "10")).continues
    refused = of.request(asked("health", CLAIMS, ("_getpages", "1")), ALWAYS)
    assert isinstance(refused, Denied) and refused.reason == "field"


# ---- links that lead nowhere

UNUSABLE = {
    "another search": f"https://org.example{BASE}/Patient?page=2",
    "another search elsewhere": "https://elsewhere.example/Patient?page=2",
    "an operation": f"https://org.example{BASE}/$export?page=2",
    "a page of a resource elsewhere": "https://elsewhere.example/Bundle/8f3c?page=2",
    "a server and nothing more": "https://elsewhere.example/fhir",
    "too long": f"?cursor={'x' * 3000}",
    "too long once sealed": f"?cursor={'%00' * 660}",
    "no address": "https://[::1",
    "upwards": f"https://org.example{BASE}/pages/../../admin",
    "not a path": f"https://org.example{BASE}/pages/a b",
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_link_that_leads_nowhere_gives_the_page_without_a_next_one_and_says_so(name):
    of = plan(granted("health.claims"))
    found = answer(of, sent(of, "health", CLAIMS), next=UNUSABLE[name])
    Bundle.model_validate_json(found.body)
    assert found.counts.records == 1 and found.notice == "next-page-unusable" and not found.following
    assert addresses(found).keys() == {"first", "self"} and "total" not in json.loads(found.body)
    found = answer(of, sent(of, "health", CLAIMS), previous=UNUSABLE[name])
    assert not found.notice and addresses(found).keys() == {"first", "self"}


def test_a_page_whose_own_address_has_become_too_long_is_given_with_that_of_the_first():
    of = plan(granted("health.claims"))
    call = sent(of, "health", CLAIMS)
    keys = ("x" * length for length in range(3000, 1000, -1))
    found = next(found for key in keys if (found := answer(of, call, next=f"?key={key}")).following)
    page = followed(of, found.following, YEAR)  # by now a period is agreed
    given = addresses(answer(of, page, YEAR))
    assert given["self"] == given["first"]


@pytest.mark.parametrize("link", [{"relation": "next"}, {"url": "?page=2"}, {"relation": "next", "url": ""}, {}])
def test_a_link_without_an_address_or_a_relation_leads_nowhere(link):
    of = plan(granted("health.claims"))
    found = of.cut(sent(of, "health", CLAIMS), TYPES["health"], bundle([claim()], [link]), ALWAYS)
    assert found.counts.records == 1 and not found.following
    assert found.notice == ("next-page-unusable" if link == {"relation": "next"} else "")


def test_a_page_that_leads_to_itself_leads_nowhere():
    of = plan(granted("health.claims"))
    for url in (f"https://org.example{BASE}{CLAIMS}", f"{CLAIMS}?patient={MINE.native}", f"?patient={MINE.native}"):
        found = answer(of, sent(of, "health", CLAIMS), next=url)
        assert not found.following and not found.notice
    second = next_call(of, "?page=2")
    assert not answer(of, second, next="?page=2").following


def test_links_of_other_relations_are_not_given():
    of = plan(granted("health.claims"))
    links = {
        "last": "?page=9",
        "self": "https://never.internal/?_include=x",
        "first": "?_never=1",
        "alternate": "never",
    }
    found = answer(of, sent(of, "health", CLAIMS), **links)
    assert addresses(found).keys() == {"first", "self"} and b"never" not in found.body.replace(b"-never", b"")
    assert addresses(answer(of, sent(of, "health", CLAIMS), prev="?page=1")).keys() == {"first", "self", "previous"}


def test_a_page_that_is_read_again_has_the_same_addresses():
    of = plan(granted("health.claims"))
    call = sent(of, "health", CLAIMS)
    assert len({answer(of, call, next="?page=2").body for _ in range(3)}) == 1
    assert answer(of, call, next="?page=3").following != answer(of, call, next="?page=2").following


@pytest.mark.parametrize("dataset", HEALTH)
def test_the_other_searches_page_alike(dataset):
    path, make = HEALTH[dataset]
    of = plan(granted(dataset))
    body = bundle([make()], [{"relation": "next", "url": "http://x.internal/fhir?_getpages=1"}])
    found = of.cut(sent(of, "health", path), TYPES["health"], body, ALWAYS)
    again = followed(of, found.following)
    assert isinstance(again, Upstream) and again.continues and ("_getpages", "1") in again.query


# ---- linking and the person's own copy


def fetched(pages: dict[str, list[bytes]], calls: list[Upstream]):
    """Answers by the path of the first page; the next ones by `_getpagesoffset` at the server's base."""
    kinds: list[str] = []

    def fetch(call: Upstream) -> tuple[str, bytes]:
        calls.append(call)
        number = int(dict(call.query).get("_getpagesoffset", "0"))
        if not number:
            kinds.append(call.path.removeprefix(BASE))
        else:
            assert call.path == BASE
        return TYPES["health"], pages[kinds[-1]][number]

    return fetch


def linked(records: list[dict], beside: tuple[dict, ...] = ()) -> list[bytes]:
    texts = []
    for number, record in enumerate(records, 1):
        url = f"http://x.internal/fhir?_getpages=8f3c&_getpagesoffset={number}"
        links = [{"relation": "next", "url": url}] if number < len(records) else []
        document = json.loads(bundle([record], links))
        document["entry"] += beside
        texts.append(json.dumps(document).encode())
    return texts


BESIDE = (
    {"search": {"mode": "outcome"}, "resource": {"resourceType": "OperationOutcome", "issue": [{"code": "x"}]}},
    {"resource": {"resourceType": "OperationOutcome", "issue": []}},
    {"search": {"mode": "include"}, "resource": {"resourceType": "Organization", "id": "o", "name": "Insurer"}},
    {"response": {"status": "200"}},
)


def test_persons_are_linked_and_copies_made_over_all_pages_of_such_a_server():
    odd = patient() | {"newMember": 1, "name": [None, {"given": [None, "Alice"], "family": "Martin", "use": ["odd"]}]}
    calls: list[Upstream] = []
    pages = {
        "/Patient": linked([odd, patient(OTHER.native)], BESIDE),
        "/Coverage": linked([coverage()], BESIDE),
        CLAIMS: linked([claim() | {"id": f"c{n}", "newMember": n} for n in range(3)], BESIDE),
    }
    found = registry.accounts(source("health"), fetched(pages, calls))
    assert [(each.native, each.label) for each in found] == [
        (MINE.native, "Alice Martin"),
        (OTHER.native, "Alice-canary Martin-canary"),
    ]
    files = {file.name: file for file in exports.download(source("health"), fetched(pages, calls), (MINE,))}
    held = [entry["resource"] for entry in json.loads(files["fhir-bundle.json"].body)["entry"]]
    kinds = [each["resourceType"] for each in held]
    assert kinds.count("ExplanationOfBenefit") == 3 and kinds.count("Patient") == 1 and "OperationOutcome" not in kinds
    assert [each["newMember"] for each in held if each["resourceType"] == "ExplanationOfBenefit"] == [0, 1, 2]
    assert b"Claim Number" in files["bluebutton.txt"].body


ODD = [None, 1, "odd", [], ["odd"], {}, {"odd": 1}, [None], [{}], [["odd"]], [{"coding": "odd"}], 10**400, True]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_a_copy_is_made_whatever_an_insurer_writes_in_a_member(odd):
    def spoilt(record: dict) -> list[dict]:
        whole = [record | {name: odd} for name in record if name not in ("resourceType", "id")]
        line = record.get("item", [{}])[0]
        return whole + [record | {"item": [line | {name: odd}]} for name in line]

    records = {"/Patient": spoilt(patient()), "/Coverage": spoilt(coverage()), CLAIMS: spoilt(claim())}
    records["/Coverage"].append({"resourceType": "Coverage"})
    pages = {path: [bundle([{"id": "x"} | record for record in found])] for path, found in records.items()}
    files = exports.download(source("health"), fetched(pages, []), (MINE,))
    assert [file.records for file in files] == [sum(map(len, records.values()))] * 2


@pytest.mark.parametrize("url", [UNUSABLE["another search elsewhere"], UNUSABLE["no address"]])
def test_no_copy_is_made_that_would_lack_pages_and_not_say_so(url):
    page = bundle([patient()], [{"relation": "next", "url": url}])
    with pytest.raises(UnknownShape) as refused:
        registry.accounts(source("health"), lambda call: (TYPES["health"], page))
    assert refused.value.where == "link[next]"


def test_an_included_person_is_not_linked():
    document = json.loads(bundle([patient()]))
    document["entry"].append({"search": {"mode": "include"}, "resource": patient(OTHER.native)})
    page = json.dumps(document).encode()
    (found,) = registry.accounts(source("health"), lambda call: (TYPES["health"], page))
    assert found.native == MINE.native

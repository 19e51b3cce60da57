"""An organisation that nobody has written code for: one file, and its data pass exactly as agreed."""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue import CatalogueError
from gateway.errors import DeclarationError
from gateway.organisations import declare, undeclared
from gateway.organisations.undeclared import Undeclareds
from tests.proxy.bank import Answer, Bank
from tests.proxy.proxy_world import World
from tests.proxy.raw import RawOrganisation, answer

assert CatalogueError
FILE = Path(__file__).parent / "declared.toml"
LINE = "+33600000001"
FIELDS = ["call.when", "call.length", "call.partner", "call.place"]


def call(number: int, line: str = LINE, at: str = "2026-11-01T10:00:00Z", **more: Any) -> dict[str, Any]:
    return {
        "_id": "never-canary",
        "timestamp": at,
        "msisdn": line,
        "partner": f"+3361234567{number}",
        "length": 61,
        "price": 0.10,
        "type": "VOICE_OUT",
        "place": {"latitude": 48.85341, "longitude": 2.3488},
        "networkType": "4G-canary",
        **more,
    }


def page(*calls: Any, following: Any = None, **beside: Any) -> bytes:
    result = {"line": LINE, "count": 1, "total": "never-canary", **beside}
    return json.dumps({"result": {"items": list(calls), **result}, "paging": {"next": following}}).encode()


class Cap:
    """Alice's line at Cap Mobile, shared with an app."""

    def __init__(
        self, world: World, organisation: RawOrganisation, monkeypatch: pytest.MonkeyPatch, **keys: Any
    ) -> None:
        monkeypatch.setenv("CAP_MOBILE_SECRET", "s")
        self.world, self.organisation, self.id = world, organisation, "cap-mobile"
        found = declare.read(FILE, world.house.catalogue, base_url=organisation.url)
        document = {**found.document, **keys}
        with world.house.store.write() as session:
            declared = replace(found, document=document, sha256=declare.digest(document))
            declare.add(session, world.house, declared, world.clock())
        world.app("calls-app")
        self.person = world.person("alice-calls")
        world.link(self.person, self.id, [LINE])
        self.ref = world.ref("calls-app", self.person, self.id, LINE)
        self.agrees(FIELDS)

    def agrees(self, fields: list[str], **item: Any) -> "Cap":
        found = self.world.item(self.id, "telecom.calls", fields, [self.ref], **item)
        self.token = self.world.token(self.world.consent(self.person, "calls-app", [found]), [self.id], "calls-app")
        return self

    def says(self, body: bytes) -> None:
        self.organisation.says(answer(body))

    def reads(self, query: str = "", path: str = "") -> Answer:
        at = path or f"/data/{self.id}/lines/{self.ref}/calls{query}"
        return Bank.reads(self, at)  # type: ignore[arg-type]  # a world and a token are all it takes


@pytest.fixture
def cap(world: World, organisation: RawOrganisation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cap]:
    organisation.reset()
    object.__setattr__(world.house, "undeclared", Undeclareds())
    yield Cap(world, organisation, monkeypatch)


def test_what_was_agreed_passes_with_its_exact_text_and_nothing_else(cap: Cap) -> None:
    cap.says(page(call(1)))
    given = cap.reads()
    assert given.status == 200, given.body
    [record] = given.json["result"]["items"]
    assert b'"price":0.1' in given.body and b'"latitude":48.85341' in given.body
    assert record.keys() == {"timestamp", "msisdn", "partner", "length", "price", "type", "place", "networkType"}
    assert record["msisdn"] == cap.ref == given.json["result"]["line"]
    assert record["partner"] != "+33612345671" and b"+33612345671" not in given.body and LINE.encode() not in given.body
    assert b"never-canary" not in given.body and given.json["result"]["count"] == 1


def test_a_field_that_was_not_agreed_leaves_no_trace(cap: Cap) -> None:
    cap.says(page(call(1)))
    given = cap.agrees(["call.when", "call.length"]).reads()
    [record] = given.json["result"]["items"]
    assert record.keys() == {"timestamp", "msisdn", "length", "price", "type", "networkType"}
    assert record["networkType"] == "withheld" and b"4G-canary" not in given.body and b"48.85" not in given.body


def test_an_identifier_is_the_same_for_one_app_and_another_for_another(cap: Cap) -> None:
    cap.says(page(call(1), call(2), call(1)))
    first, second, again = (record["partner"] for record in cap.reads().json["result"]["items"])
    assert first == again != second
    cap.world.app("other-app")
    item = cap.world.item(cap.id, "telecom.calls", FIELDS, [cap.world.ref("other-app", cap.person, cap.id, LINE)])
    cap.token = cap.world.token(cap.world.consent(cap.person, "other-app", [item]), [cap.id], "other-app")
    other = cap.reads(path=f"/data/{cap.id}/lines/{item['accounts'][0]}/calls")
    assert other.json["result"]["items"][0]["partner"] not in (first, "+33612345671")


def test_the_organisation_is_asked_as_the_file_says(cap: Cap) -> None:
    cap.says(page())
    now = datetime.now(UTC)
    since = (now - timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    cap.reads(f"?since={since}&until=2030-01-01&limit=50&detail=full")
    [asked] = cap.organisation.seen
    assert asked.target.startswith("/v2/cdr?msisdn=%2B33600000001&version=2&since=" + since.replace(":", ":"))
    assert asked.target.endswith("&limit=50&detail=full") and "&until=20" in asked.target


@pytest.mark.parametrize(
    ("query", "reason"),
    [("?limit=500", "field"), ("?detail=all", "field"), ("?fields=a", "field"), ("?since=soon", "period"),
     ("?until=2001-01-01", "period"), ("?limit=5&limit=6", "field"), ("?page_token=" + "A" * 40, "field")],
)  # fmt: skip
def test_what_is_not_declared_or_not_agreed_is_refused_before_anything_is_asked(
    cap: Cap, query: str, reason: str
) -> None:
    refused = cap.reads(query)
    assert (refused.status, refused.reason) == (403, reason) and not cap.organisation.seen


def test_a_parameter_that_widens_needs_its_field(cap: Cap) -> None:
    refused = cap.agrees(["call.when"]).reads("?detail=full")
    assert (refused.status, refused.reason) == (403, "field") and not cap.organisation.seen


def test_a_cursor_is_the_gateways_own(cap: Cap) -> None:
    cap.says(page(call(1), following=f"{LINE}-2"))
    first = cap.reads("?limit=50")
    cursor = first.json["paging"]["next"]
    assert LINE not in first.body.decode() and f'page_token={cursor}>; rel="next"' in first.headers["link"]
    cap.says(page(call(2)))
    second = cap.reads(f"?cursor={cursor}")
    assert second.status == 200 and second.json["paging"] == {} and "link" not in second.headers
    assert (
        "limit=50" in cap.organisation.seen[-1].target and "cursor=%2B33600000001-2" in cap.organisation.seen[-1].target
    )


def test_a_read_by_post_has_a_body_of_the_gateways_own(
    world: World, organisation: RawOrganisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    organisation.reset()
    form = tomllib.loads(FILE.read_text())["format"]
    body = {"contract": "{account}", "between": ["{since}", "{until}"], "size": "{limit}", "kind": "all"}
    form["calls"][0] |= {"method": "POST", "asks": "/v2/search", "body": body}
    posting = Cap(world, organisation, monkeypatch, format=form)
    posting.says(page(call(1)))
    given = posting.reads("?limit=20&until=2030-01-01")
    assert given.status == 200 and LINE.encode() not in given.body
    [asked] = organisation.seen
    assert asked.raw.startswith(b"POST /v2/search HTTP/1.1") and b"content-type: application/json" in asked.raw.lower()
    sent = json.loads(asked.body)
    assert sent["contract"] == LINE and sent["size"] == "20" and sent["kind"] == "all"
    assert [edge[:2] for edge in sent["between"]] == ["20", "20"]  # the period is put in, asked for or not


def test_records_of_others_and_outside_the_period_do_not_pass(cap: Cap) -> None:
    old = "2020-01-01T10:00:00Z"
    cap.says(page(call(1), call(2, line="+33699999999"), call(3, at=old), call(4, timestamp=None)))
    given = cap.reads()
    assert len(given.json["result"]["items"]) == 1 and b"+33699999999" not in given.body
    entry = cap.world.entries(cap.person)[-1]
    assert (entry["records"], entry["records_withheld"]) == (1, 3)


def test_an_answer_about_somebody_else_is_no_answer(cap: Cap) -> None:
    cap.says(page(call(1), line="+33699999999"))
    refused = cap.reads()
    assert (refused.status, refused.reason) == (502, "organisation_answer_invalid")


@pytest.mark.parametrize("plant", [{"length": "61"}, {"timestamp": "soon"}, {"place": [1]}, {"price": True}])
def test_another_type_where_a_known_member_stands_is_refused(cap: Cap, plant: Any) -> None:
    cap.says(page(call(1, **plant)))
    assert cap.reads().status == 502
    house = cap.world.house
    assert house.undeclared is not None
    house.undeclared.write(house.store)
    with house.store.read() as session:
        rows = [row for row in undeclared.all_of(session, cap.id) if row.refused]
    assert rows and not any("[" in row.place or "canary" in row.place for row in rows)


def test_what_the_organisation_adds_is_withheld_and_told(cap: Cap) -> None:
    cap.says(page(call(1, roaming={"country": "canary"}, **{"0612345678": "canary"}), newBeside="canary"))
    for _ in range(3):
        given = cap.reads()
        assert given.status == 200 and b"canary" not in given.body.replace(b"4G-canary", b"")
    house = cap.world.house
    assert house.undeclared is not None
    house.undeclared.write(house.store)
    with house.store.read() as session:
        rows = {row.place: row.answers for row in undeclared.all_of(session, cap.id) if not row.refused}
    assert rows == {"result.items.roaming": 3, "result.items.…": 3, "result.newBeside": 3}


def test_a_strict_organisation_is_refused_what_it_adds(
    world: World, organisation: RawOrganisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    organisation.reset()
    strict = Cap(world, organisation, monkeypatch, strict=True)
    strict.says(page(call(1, roaming="canary")))
    assert strict.reads().status == 502


def test_its_data_needs_the_sign_in_that_the_file_says(
    world: World, organisation: RawOrganisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    organisation.reset()
    (own,) = [row for row in tomllib.loads(FILE.read_text())["datasets"] if row["id"] == "telecom.calls"]
    needs = [{**own, "acr": "urn:aval:acr:two-factors", "max_age": 600}]
    cap = Cap(world, organisation, monkeypatch, datasets=needs)
    cap.says(page(call(1)))
    refused = cap.reads()
    assert (refused.status, refused.reason) == (401, "sign_in_too_weak")
    assert 'acr_values="urn:aval:acr:two-factors", max_age="600"' in refused.headers["www-authenticate"]


def test_a_file_that_lies_about_its_shapes_is_refused_with_all_its_faults(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAP_MOBILE_SECRET", "s")
    text = FILE.read_text()
    for old, new in [
        ("type:s place:Place", "type:s secret:s place:Plac"),
        ('"PhoneCall/timestamp", "PhoneCall/msisdn"', '"PhoneCall/msisdn"'),
        ('find = "PhoneCall/timestamp" }', 'find = "PhoneCall/type" }'),
        ('category = "communications"', 'category = "comunications"'),
        ('by = "cursor"', 'by = "cursors"'),
    ]:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "wrong.toml").write_text(text)
    with pytest.raises(DeclarationError) as wrong:
        declare.read(tmp_path / "wrong.toml", world.house.catalogue)
    told = str(wrong.value)
    assert "format.shapes.PhoneCall: is not right; place: Plac is no type of the table" in told
    assert "format.pages.by: is not right; one of link-header" in told

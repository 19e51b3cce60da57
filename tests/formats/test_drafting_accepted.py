"""What `draft` writes is what `lint` accepts, once TO FILL is filled, and what `try` finds the records with."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from accepted_drafts import accepted, aval, draft, errors, given

TIME = "2026-05-17T10:00:00Z"
LIST = f"""<Receipts xmlns="urn:receipts" xmlns:s="urn:shops" s:count="2">
  <Receipt number="a1"><At>{TIME}</At><Total currency="EUR">1.20</Total><s:Shop>Quay</s:Shop></Receipt>
  <Receipt number="a2"><At>{TIME}</At><Total currency="EUR">2.40</Total></Receipt>
</Receipts>"""
PREFIXED = f'<r:Receipt xmlns:r="urn:receipts"><r:At>{TIME}</r:At><Total>1.20</Total></r:Receipt>'
SALE = f"<Sale><When><At>{TIME}</At></When></Sale>"
DEEP = f"<Answer><Body>{SALE}{SALE}</Body></Answer>"
LATER = "<Sales><Sale><Shop>Quay</Shop></Sale><Sale><Shop><Town>Ghent</Town></Shop></Sale></Sales>"
RESERVED = f'<Sales xmlns:xmlish="urn:x"><Sale><xmlish:At>{TIME}</xmlish:At></Sale><Sale/></Sales>'


def form(path: Path) -> dict[str, Any]:
    return dict(tomllib.loads(path.read_text(encoding="utf-8"))["format"])


def written(folder: Path, name: str, text: str | object) -> Path:
    path = folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text, at, one, records",
    [
        (LIST, "Receipts.Receipt", False, 2),
        (PREFIXED, "r:Receipt", True, 1),
        (DEEP, "Answer.Body.Sale", False, 2),
        (LATER, "Sales.Sale", False, 2),
        (RESERVED, "Sales.Sale", False, 1),
    ],
    ids=["list", "single", "deep", "text-or-elements", "reserved-prefix"],
)
def test_the_records_of_an_xml_answer_stand_below_its_outermost_element(
    tmp_path: Path, text: str, at: str, one: bool, records: int
) -> None:
    answer = written(tmp_path, "answer.xml", text)
    done = accepted(draft(tmp_path, "--sample", answer))
    (call,), (record,) = form(done)["calls"], form(done)["records"].values()
    assert (record["at"], call.get("one", False)) == (at, one)
    assert len(given(done, answer)) == records


def test_at_may_name_the_outermost_element_or_begin_below_it(tmp_path: Path) -> None:
    answer = written(tmp_path, "answer.xml", DEEP)
    for at in ("Answer.Body", "Body"):
        out = draft(tmp_path, "--sample", answer, "--at", at, "--force")
        assert form(out)["records"]["Body"]["at"] == "Answer.Body" and len(given(accepted(out), answer)) == 1


def test_an_outermost_element_that_no_place_can_name_is_refused(tmp_path: Path) -> None:
    answer = written(tmp_path, "answer.xml", "<My.Sales><Sale><At>1</At></Sale></My.Sales>")
    code, out, told = aval("draft", "--sample", answer)
    assert code == 1 and not out and "the name of its outermost element has a dot" in told


SCHEMA = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:c="urn:calls" targetNamespace="urn:calls">
<xs:element name="Calls"><xs:complexType><xs:sequence>
  <xs:element name="Call" type="c:Call" maxOccurs="unbounded"/>
</xs:sequence></xs:complexType></xs:element>
<xs:complexType name="Call"><xs:sequence>
  <xs:element name="Born" type="xs:date"/><xs:element name="At" type="xs:dateTime"/>
</xs:sequence></xs:complexType></xs:schema>"""


def test_a_draft_of_an_xml_schema_takes_what_is_valid_by_it(tmp_path: Path) -> None:
    schema = written(tmp_path, "calls.xsd", SCHEMA)
    call = f"<Call><Born>1980-01-01</Born><At>{TIME}</At></Call>"
    answer = written(tmp_path, "answer.xml", f'<c:Calls xmlns:c="urn:calls">{call}{call}</c:Calls>')
    done = accepted(draft(tmp_path, "--xsd", schema))
    assert form(done)["records"] == {"Call": {"at": "c:Calls.Call", "instant": "At"}}
    assert len(given(done, answer)) == 2


def test_of_a_type_of_an_xml_schema_it_is_told_that_its_element_is_guessed(tmp_path: Path) -> None:
    path = written(tmp_path, "calls.xsd", SCHEMA)
    out = draft(tmp_path, "--xsd", path, "--root", "Call")
    assert form(accepted(out))["records"]["Call"]["at"] == "c:Call"
    told = aval("draft", "--xsd", path, "--root", "Call")[2]
    assert "the type Call says not in which element it stands" in told


def test_a_time_deeper_in_a_record_is_found_by_its_outer_member(tmp_path: Path) -> None:
    answer = written(tmp_path, "answer.json", [{"price": 1, "when": {"told": {"start": TIME}, "place": "Ghent"}}])
    done = accepted(draft(tmp_path, "--sample", answer))
    (dataset,) = tomllib.loads(done.read_text())["datasets"]
    assert dataset["time"]["find"] == "Record/when"
    assert form(done)["records"]["Record"]["instant"] == "when.told.start"
    assert len(given(done, answer)) == 1


@pytest.mark.parametrize("name", ["birthdate", "dateOfBirth", "dateNaissance", "bornOn", "deceasedDateTime"])
def test_a_day_in_the_life_of_a_person_is_the_time_of_no_record(tmp_path: Path, name: str) -> None:
    for record in ({name: "1980-01-01", "x": 1}, {"holder": {name: "1980-01-01", "x": 1}}):
        done = accepted(draft(tmp_path, "--sample", written(tmp_path, "answer.json", [record]), "--force"))
        assert "instant" not in form(done)["records"]["Record"]


def test_a_name_that_no_declaration_can_say_is_left_out_and_told(tmp_path: Path) -> None:
    records = {"type": "object", "properties": {name: {"type": "string"} for name in ('a"b', "a\\b", "", "kept")}}
    schema = written(tmp_path, "a.schema.json", {"type": "array", "items": records})
    assert form(accepted(draft(tmp_path, "--schema", schema)))["shapes"] == {"Record": "kept:s"}
    assert "left out: it is never given" in aval("draft", "--schema", schema)[2]


def test_records_of_which_no_member_can_be_given_are_refused(tmp_path: Path) -> None:
    code, out, told = aval("draft", "--sample", written(tmp_path, "answer.json", [{"a": None, "b": []}]))
    assert code == 1 and not out and "no member of its records has a value to give" in told


@pytest.mark.parametrize(
    "answer",
    [
        [{"raw": {"in": {"s": 1}}, "Raw": {"a": 1}, "s": {"x": 1}}],
        {"my.items": [{"at": TIME, "price": 1}, {"at": TIME, "price": 2}]},
        {"data": {"my.part": {"at": TIME}}},
        [{"when.told": TIME, "part": {"is.at": TIME}}],
    ],
    ids=["words-of-tables", "dotted-list", "dotted-member", "dotted-time"],
)
def test_a_draft_is_accepted_whatever_names_are_like(tmp_path: Path, answer: object) -> None:
    path = written(tmp_path, "answer.json", answer)
    assert given(accepted(draft(tmp_path, "--sample", path)), path)


# ---- OpenAPI

TEXT = {"type": "string"}
BALANCES = {"type": "array", "items": {"$ref": "#/components/schemas/Balance"}}
SCHEMAS = {
    "Account": {"accountId": TEXT, "name": TEXT, "balances": BALANCES},
    "Balance": {"amount": {"type": "number"}, "at": {"type": "string", "format": "date-time"}},
    "Balances": {"balances": BALANCES},
    "Offer": {"title": TEXT, "price": {"type": "number"}},
}


def get(kind: str, *parameters: dict[str, Any], many: bool = True) -> dict[str, Any]:
    one = {"$ref": f"#/components/schemas/{kind}"}
    content = {"application/json": {"schema": {"type": "array", "items": one} if many else one}}
    return {"get": {"parameters": list(parameters), "responses": {"200": {"content": content}}}}


PATHS = {
    "/bank/accounts": get("Account"),
    "/bank/accounts/{accountId}/balances": get("Balances", many=False),
    "/offers/{section}": get("Offer", {"name": "section", "in": "query", "schema": {"enum": ["old", "new"]}}),
}


def described(folder: Path, paths: dict[str, Any], server: str = "https://api.bank.example/v1") -> Path:
    types = {name: {"type": "object", "properties": members} for name, members in SCHEMAS.items()}
    about = {"openapi": "3.0.3", "info": {"title": "Bank", "version": "1"}, "servers": [{"url": server}]}
    return written(folder, "bank.json", {**about, "paths": paths, "components": {"schemas": types}})


def test_accounts_are_listed_by_a_call_that_is_there(tmp_path: Path) -> None:
    found = form(draft(tmp_path, "--openapi", described(tmp_path, PATHS)))
    assert found["accounts"] == {"call": "bank-accounts", "native": "accountId", "label": "name"}
    assert found["accounts"]["call"] in [call["name"] for call in found["calls"]]


def test_records_inside_others_are_of_a_type_of_their_own(tmp_path: Path) -> None:
    shapes = form(accepted(draft(tmp_path, "--openapi", described(tmp_path, PATHS))))["shapes"]
    assert shapes["Account"] == "accountId:s name:s balances:Balance2*"
    assert shapes["Answer"] == "balances:Balance*"
    assert shapes["Balance"] == shapes["Balance2"] == "amount:n at:s"


def test_what_stands_around_records_and_is_one_elsewhere_is_two_types(tmp_path: Path) -> None:
    """/accounts/{accountId} is a record with balances; the balances of the other call stand in the same type."""
    holder = {"/balances": get("Account", many=False), "/accounts/{accountId}": get("Account", many=False)}
    found = form(accepted(draft(tmp_path, "--openapi", described(tmp_path, holder))))
    assert set(found["records"]) == {"Balance", "Account"}
    (balances,) = [call for call in found["calls"] if call["records"] == "Balance"]
    assert "balances:Balance*" in found["shapes"][balances.get("envelope", "Answer")]
    assert "balances:Balance2*" in found["shapes"]["Account"]


def test_a_word_of_a_path_is_no_parameter(tmp_path: Path) -> None:
    section = {"name": "section", "in": "query", "schema": {"enum": ["old", "new"]}}
    account = {"name": "accountId", "in": "query", "required": True, "schema": TEXT}
    paths = {"/offers/{section}": get("Offer", section), "/loans/{section}": get("Offer", account, section)}
    offers, loans = form(accepted(draft(tmp_path, "--openapi", described(tmp_path, paths))))["calls"]
    assert offers["path"] == "/v1/offers/{section_id}" and offers["query"] == ["section"]
    assert loans["path"] == "/v1/loans/{section_id}/{account}"
    assert loans["asks"] == "/v1/loans/{section_id}?accountId={account}"


def test_a_path_has_no_word_twice_and_none_of_the_gateways_own(tmp_path: Path) -> None:
    paths = {"/accounts/{accountId}/of/{customer}/{account}": get("Offer")}
    (call,) = form(accepted(draft(tmp_path, "--openapi", described(tmp_path, paths))))["calls"]
    assert call["path"] == "/v1/accounts/{account}/of/{customer_id}/{account_id}"


def test_whose_records_are_is_to_be_filled_where_nothing_says_it(tmp_path: Path) -> None:
    out = draft(tmp_path, "--openapi", described(tmp_path, PATHS))
    records = form(out)["records"]
    assert records["Offer"]["account"] == "TO FILL" and records["Account"]["account"] == "accountId"
    assert "account" not in records["Balance"]  # its address names the account
    (told,) = [each for each in errors(out) if each["key"] == "format.records.Offer.account"]
    assert told["rule"] == "to-fill"
    accepted(out)


@pytest.mark.parametrize(
    "server, base_url",
    [
        ("https://api.bank.example/v1", "https://api.bank.example"),
        ("https://api.bank.example:8443", "https://api.bank.example:8443"),
        ("http://serverRoot/v1", "TO FILL"),
        ("https://serverRoot/v1", "TO FILL"),
        ("http://api.bank.example", "TO FILL"),
        ("/v1", "TO FILL"),
    ],
)
def test_a_server_that_no_gateway_could_call_is_to_be_filled(tmp_path: Path, server: str, base_url: str) -> None:
    out = draft(tmp_path, "--openapi", described(tmp_path, PATHS, server))
    assert tomllib.loads(out.read_text())["connection"]["base_url"] == base_url
    accepted(out)


def test_of_more_types_of_data_than_a_declaration_has_the_first_are_written(tmp_path: Path) -> None:
    members = {f"of{number}": TEXT for number in range(60)}
    paths = {f"/things{number}": get(f"Thing{number}") for number in range(60)}
    path = described(tmp_path, paths)
    document = json.loads(path.read_text())
    for number, (name, word) in enumerate(members.items()):
        document["components"]["schemas"][f"Thing{number}"] = {"type": "object", "properties": {name: word}}
    path.write_text(json.dumps(document))
    out = draft(tmp_path, "--openapi", path)
    assert [each["id"] for each in tomllib.loads(out.read_text())["datasets"]] == [
        f"telecom.thing{number}" for number in range(50)
    ]
    told = aval("draft", "--openapi", path)[2]
    assert "60 types of data, where a declaration has 50 at most; the first 50 are written" in told and "--only" in told
    accepted(out)

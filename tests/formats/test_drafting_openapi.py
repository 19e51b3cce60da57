"""OpenAPI descriptions become calls, parameters and pages."""

import builtins
import importlib
import json
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest
from drafted_declarations import drafted, faults, shapes

from gateway.catalogue import format_files
from gateway.catalogue.formats import along
from gateway.catalogue.words import FileTable
from gateway.formats.drafting.nodes import Unreadable
from gateway.formats.drafting.openapi import guessed

CALL = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "accountId": {"type": "string"},
        "startedAt": {"type": "string", "format": "date-time"},
        "seconds": {"type": "integer"},
    },
}
LIST = {
    "type": "object",
    "properties": {
        "data": {"type": "array", "items": {"$ref": "#/components/schemas/PhoneCall"}},
        "links": {"type": "object", "properties": {"next": {"type": "string"}}},
        "meta": {"type": "object", "properties": {"total": {"type": "integer"}}},
    },
}
ACCOUNT = {"type": "object", "properties": {name: {"type": "string"} for name in ("accountId", "nickname", "type")}}


def answers(schema: Any, media: str = "application/json") -> dict[str, Any]:
    return {"200": {"description": "", "content": {media: {"schema": schema}}}}


def get(schema: Any, *parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"get": {"parameters": list(parameters), "responses": answers(schema), **more}}


def query(name: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema or {"type": "string"}}


def described(folder: Path, paths: dict[str, Any], name: str = "api.json", **more: Any) -> Path:
    path = folder / name
    schemas = {"PhoneCall": CALL, "Calls": LIST, "Account": ACCOUNT}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Calls"},
        "paths": paths,
        "components": {"schemas": schemas},
        **more,
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


CALLS = {"$ref": "#/components/schemas/Calls"}


def test_a_get_path_becomes_a_call_with_its_records_parameters_and_pages(tmp_path: Path) -> None:
    paths = {
        "/accounts": get({"type": "array", "items": {"$ref": "#/components/schemas/Account"}}),
        "/accounts/{accountId}/calls": get(
            CALLS,
            query("dateFrom", type="string", format="date"),
            query("dateTo", type="string", format="date"),
            query("page", type="integer"),
            query("page-size", type="integer", maximum=250),
            query("direction", type="string", enum=["in", "out"]),
            query("withCost", type="boolean"),
            query("partner", type="string"),
        ),
        "/accounts/{accountId}": {"post": {"responses": {}}},
    }
    text = drafted(
        "openapi", described(tmp_path, paths, servers=[{"url": "https://api.telecom.example/v2"}]), id="telecom"
    )
    assert not faults(text)
    document = tomllib.loads(text)
    form = document["format"]
    assert document["connection"]["base_url"] == "https://api.telecom.example"
    accounts, calls = form["calls"]
    assert accounts["path"] == "/v2/accounts" and accounts["records"] == "Account"
    assert calls == {
        "name": "accounts-calls",
        "dataset": "telecom.phone_call",
        "records": "PhoneCall",
        "path": "/v2/accounts/{account}/calls",
        "query": ["dateFrom", "dateTo", "page", "page-size", "direction", "withCost"],
    }
    assert form["parameters"] == {
        "dateFrom": {"as": "from", "written": "date"},
        "dateTo": {"as": "to", "written": "date", "included": True},
        "page": {"as": "page"},
        "page-size": {"as": "size", "most": 250},
        "direction": {"as": "choice", "values": ["in", "out"]},
        "withCost": {"as": "choice", "values": ["true", "false"]},
    }
    assert form["records"]["PhoneCall"] == {"at": "data", "account": "accountId", "instant": "startedAt"}
    assert form["pages"] == {"by": "link", "at": "links.next"}
    assert form["accounts"] == {"call": "accounts", "native": "accountId", "label": "nickname", "kind": "type"}
    assert shapes(document)["PhoneCall"] == {"id": "p", "accountId": "s", "startedAt": "s", "seconds": "i"}
    assert '# "Meta/total" = "only-page"' in text
    assert "the parameter partner narrows by what the gateway cannot judge; left out, so refused" in text
    assert "left out: 1 path that cannot be read, only written" in text


@pytest.mark.parametrize(
    "name, schema, keys",
    [
        ("from", {"type": "string", "format": "date-time"}, {"as": "from", "written": "rfc3339"}),
        ("since", {"type": "integer"}, {"as": "from", "written": "epoch-s"}),
        ("start_ms", {"type": "integer"}, None),
        ("start_time_ms", {"type": "integer"}, {"as": "from", "written": "epoch-ms"}),
        ("toBookingDateTime", {"type": "string", "format": "date-time"}, {"as": "to", "written": "rfc3339"}),
        ("newest-date", {"type": "string"}, {"as": "to", "written": "date", "included": True}),
        ("fields", {"type": "string"}, {"as": "fields"}),
        ("offset", {"type": "integer"}, {"as": "page"}),
        ("pageToken", {"type": "string"}, {"as": "page"}),
        ("limit", {"type": "integer"}, {"as": "size", "most": 100}),
        ("updated-since", {"type": "string", "format": "date-time"}, None),
        ("entryReferenceFrom", {"type": "string"}, None),
        ("amountFrom", {"type": "number"}, None),
        ("name", {"type": "string"}, None),
    ],
)
def test_a_parameter_is_guessed_by_its_name_and_format_or_left_out(
    name: str, schema: dict[str, Any], keys: dict[str, Any] | None
) -> None:
    found = guessed(name, schema, "")
    assert (found.keys if found else None) == keys


@pytest.mark.parametrize(
    "parameters, headers, keys",
    [
        (
            [query("page", type="integer"), query("limit", type="integer")],
            {},
            {"by": "page", "parameter": "page", "size": "limit", "first": 1},
        ),
        (
            [query("offset", type="integer"), query("limit", type="integer")],
            {},
            {"by": "offset", "parameter": "offset", "size": "limit"},
        ),
        ([], {"Link": {"schema": {"type": "string"}}}, {"by": "link-header"}),
    ],
    ids=["page", "offset", "link-header"],
)
def test_how_pages_follow_is_guessed(
    tmp_path: Path, parameters: list[dict[str, Any]], headers: dict[str, Any], keys: dict[str, Any]
) -> None:
    operation = get({"type": "array", "items": CALL}, *parameters)
    operation["get"]["responses"]["200"]["headers"] = headers
    found = tomllib.loads(drafted("openapi", described(tmp_path, {"/calls": operation})))
    assert found["format"]["pages"] == keys


def test_an_account_in_the_query_is_asked_for_there_and_stands_in_the_path_of_the_gateway(tmp_path: Path) -> None:
    named = {**query("msisdn", type="string"), "required": True}
    text = drafted("openapi", described(tmp_path, {"/cdr": get(CALLS, named)}))
    assert not faults(text)
    (call,) = tomllib.loads(text)["format"]["calls"]
    assert call["path"] == "/cdr/{account}" and call["asks"] == "/cdr?msisdn={account}" and "query" not in call


def test_one_record_and_a_list_of_the_same_are_one_type_of_data(tmp_path: Path) -> None:
    one = {"type": "object", "properties": {"data": {"$ref": "#/components/schemas/PhoneCall"}}}
    text = drafted("openapi", described(tmp_path, {"/calls": get(CALLS), "/calls/{callId}": get(one)}))
    assert not faults(text)
    document = tomllib.loads(text)
    assert len(document["datasets"]) == 1
    assert [call.get("one", False) for call in document["format"]["calls"]] == [False, True]
    assert document["format"]["calls"][1]["path"] == "/calls/{call_id}"


def test_each_call_names_its_own_envelope(tmp_path: Path) -> None:
    data = {
        "type": "object",
        "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Account"}}},
    }
    text = drafted("openapi", described(tmp_path, {"/calls": get(CALLS), "/accounts": get(data)}))
    found = tomllib.loads(text)["format"]
    envelopes = {call["path"]: call.get("envelope", "Answer") for call in found["calls"]}
    assert len(set(envelopes.values())) == 2 and set(envelopes.values()) <= found["shapes"].keys()
    told: list[str] = []
    read = format_files.read(FileTable("format", found, told), "")
    assert not [fault for fault in told if ": calls" in fault]
    for call in read.calls.values():
        [(_, name)] = along(read.shapes, call.envelope, read.place(call)) or [("", "")]
        assert name == "data"


def test_types_that_several_records_share_are_split_for_all_of_them(tmp_path: Path) -> None:
    """The second record has the party in two places, one of which is in a type that the first record has too."""
    text = {"type": "string"}
    schemas = {
        "Party": {"type": "object", "properties": {"name": text, "iban": text}},
        "Shop": {"type": "object", "properties": {"owner": {"$ref": "#/components/schemas/Party"}}},
        "Sale": {"type": "object", "properties": {"shop": {"$ref": "#/components/schemas/Shop"}, "at": text}},
        "Claim": {
            "type": "object",
            "properties": {
                "by": {"$ref": "#/components/schemas/Party"},
                "shop": {"$ref": "#/components/schemas/Shop"},
                "account": {"$ref": "#/components/schemas/Account"},
            },
        },
        "Account": ACCOUNT,
    }
    paths = {
        f"/{name.lower()}s": get({"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}})
        for name in ("Sale", "Claim", "Account")
    }
    found = drafted("openapi", described(tmp_path, paths, components={"schemas": schemas}))
    assert not faults(found)
    document = tomllib.loads(found)
    assert shapes(document)["Account"]["accountId"] == "s" == shapes(document)["Account"]["nickname"]
    assert document["format"]["records"]["Account"]["account"] == "accountId"


def test_a_header_that_every_call_must_have_is_told(tmp_path: Path) -> None:
    header = {"name": "X-Key", "in": "header", "required": True, "schema": {"type": "string"}}
    told = drafted("openapi", described(tmp_path, {"/calls": get(CALLS, header, {**header, "name": "Authorization"})}))
    assert "a header that every call must have: X-Key" in told and "have: Authorization" not in told
    assert "write it into headers of [connection]" in " ".join(told.replace("#", " ").split())


def test_calls_about_consents_are_left_out_unless_named_or_alone(tmp_path: Path) -> None:
    both = described(tmp_path, {"/calls": get(CALLS), "/consents/{consentId}": get(ACCOUNT)})
    text = drafted("openapi", both)
    assert [call["path"] for call in tomllib.loads(text)["format"]["calls"]] == ["/calls"]
    assert "left out: 1 path about consents and authorisations" in text
    for path, only in (
        (both, ("consents",)),
        (described(tmp_path, {"/consents/{consentId}": get(ACCOUNT)}, "b.json"), ()),
    ):
        found = tomllib.loads(drafted("openapi", path, only=only))
        assert [call["path"] for call in found["format"]["calls"]] == ["/consents/{consent_id}"]


def test_an_answer_that_is_no_record_is_left_out_and_told(tmp_path: Path) -> None:
    text = drafted("openapi", described(tmp_path, {"/calls": get(CALLS), "/version": get({"type": "string"})}))
    assert len(tomllib.loads(text)["format"]["calls"]) == 1 and "/version: an answer without records; left out" in text


def test_the_variables_of_a_server_are_filled_with_what_the_description_gives(tmp_path: Path) -> None:
    operation = {"get": {"responses": answers(CALLS)}}
    server = {
        "url": "https://{region}.telecom.example/{version}",
        "variables": {"region": {"default": "eu", "enum": ["eu", "us"]}, "version": {"default": "v2"}},
    }
    found = tomllib.loads(drafted("openapi", described(tmp_path, {"/calls": operation}, servers=[server])))
    assert found["connection"]["base_url"] == "https://eu.telecom.example"
    assert found["format"]["calls"][0]["path"] == "/v2/calls"


@pytest.mark.parametrize(("url", "told"), [("/{tenant}/v1", True), ("/../x", True), ("/v1.2", False), ("/", False)])
def test_a_path_in_front_of_every_call_that_cannot_be_written_is_told(tmp_path: Path, url: str, told: bool) -> None:
    operation = {"get": {"responses": answers(CALLS)}}
    server = {"url": f"https://telecom.example{url}"}
    text = drafted("openapi", described(tmp_path, {"/calls": operation}, servers=[server]))
    assert ("a path in front of every call" in text) == told
    path = tomllib.loads(text)["format"]["calls"][0]["path"]
    assert path == ("/calls" if told else f"{url.rstrip('/')}/calls")


def test_another_media_type_of_json_is_asked_for(tmp_path: Path) -> None:
    operation = {"get": {"responses": answers(CALLS, "application/vnd.calls+json; version=2")}}
    form = tomllib.loads(drafted("openapi", described(tmp_path, {"/calls": operation})))["format"]
    assert form["accept"] == "application/vnd.calls+json" and form["media_types"] == [form["accept"]]


def test_swagger_2_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    operation = {
        "parameters": [{"name": "limit", "in": "query", "type": "integer", "maximum": 50}],
        "responses": {"200": {"description": "", "schema": {"type": "array", "items": {"$ref": "#/definitions/Call"}}}},
    }
    document = {"swagger": "2.0", "host": "old.example", "basePath": "/api", "paths": {"/calls": {"get": operation}}}
    path.write_text(json.dumps({**document, "definitions": {"Call": CALL}}))
    text = drafted("openapi", path)
    assert not faults(text)
    found = tomllib.loads(text)
    assert found["format"]["calls"][0]["path"] == "/api/calls" and found["format"]["parameters"]["limit"]["most"] == 50


YAML = """
    openapi: 3.0.0
    info: {title: Calls, version: 2020-01-01}
    paths:
      /calls:
        get:
          responses:
            200:
              description: ok
              content:
                application/json:
                  schema:
                    type: array
                    items:
                      type: object
                      properties:
                        no: {type: integer}
                        on: {type: string, format: date, example: 2020-01-01}
                        state: {type: string, enum: [yes, no]}
"""


def test_yaml_is_read_with_the_scalars_of_json(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    path = tmp_path / "api.yaml"
    path.write_text(textwrap.dedent(YAML))
    text = drafted("openapi", path)
    assert not faults(text) and shapes(tomllib.loads(text))["Call"] == {"no": "i", "on": "s", "state": "s"}
    for wrong in ("a: [", "!!python/object/apply:os.system ['true']", "just words"):
        path.write_text(wrong)
        with pytest.raises(Unreadable, match="is neither JSON nor YAML"):
            drafted("openapi", path)


def test_a_yaml_file_that_doubles_at_every_step_is_refused(tmp_path: Path) -> None:
    """Twelve lines, of which the last one names the first a thousand million times."""
    pytest.importorskip("yaml")
    member = "{{type: object, properties: {{{0}}}}}"
    lines = ["openapi: 3.0.0", "t0: &t0 " + member.format("x: {type: integer}")]
    for number in range(15):
        inside = ", ".join(f"{name}: *t{number}" for name in "abcd")
        lines.append(f"t{number + 1}: &t{number + 1} " + member.format(inside))
    schema = "{type: array, items: *t15}"
    answer = f"{{responses: {{200: {{content: {{application/json: {{schema: {schema}}}}}}}}}}}"
    lines += ["paths:", f"  /a: {{get: {answer}}}"]
    path = tmp_path / "api.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(Unreadable, match="has more than 40000 schemas; name a part"):
        drafted("openapi", path)


def test_where_no_yaml_library_is_the_command_that_converts_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(textwrap.dedent(YAML))
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name == "yaml":
            raise builtins.ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(Unreadable, match=r"no YAML library is installed here; convert it .* > converted\.json"):
        drafted("openapi", path)


@pytest.mark.parametrize(
    "document, why",
    [
        ({"type": "object"}, "is no OpenAPI description"),
        ([], "is no OpenAPI description"),
        ({"openapi": "3.1.0"}, "no GET path answers 200 with JSON"),
        ({"openapi": "3.1.0", "paths": {"/a": {"get": None}, "/b": 1, "/c": {"$ref": "#/nowhere"}}}, "no GET path"),
        ({"openapi": "3.1.0", "paths": {"/a": get({"type": "string"})}}, "a record is an object"),
    ],
    ids=range(5),
)
def test_what_describes_no_call_that_reads_is_refused(tmp_path: Path, document: Any, why: str) -> None:
    path = tmp_path / "api.json"
    path.write_text(json.dumps(document))
    with pytest.raises(Unreadable, match=why):
        drafted("openapi", path)


# ---- how the organisation is called


def secured(folder: Path, paths: dict[str, Any], *required: str, **schemes: dict[str, Any]) -> Path:
    components = {"schemas": {"PhoneCall": CALL, "Calls": LIST, "Account": ACCOUNT}, "securitySchemes": schemes}
    servers = [{"url": "https://api.telecom.example/v2"}]
    needed = {"security": [{name: []} for name in required]} if required else {}
    return described(folder, paths, components=components, servers=servers, **needed)


FLOWS = {
    "clientCredentials": {"tokenUrl": "https://login.example/token", "scopes": {"calls": "", "lines": ""}},
    "authorizationCode": {
        "authorizationUrl": "https://api.telecom.example/oauth/authorize",
        "tokenUrl": "/oauth/token",
        "scopes": {"calls": ""},
    },
}
SECRET = {"env": "TO FILL"}
ENDS = {"revoke": "TO FILL", "client_id": "TO FILL", "client_secret": SECRET}
PLAIN = {"/calls": get(CALLS)}


@pytest.mark.parametrize(
    ("scheme", "kind", "keys"),
    [
        (
            {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            "api_key",
            {"header": "X-Api-Key", "secret": SECRET},
        ),
        ({"type": "http", "scheme": "Basic"}, "basic", {"user": "TO FILL", "secret": SECRET}),
        (
            {"type": "oauth2", "flows": FLOWS},
            "client_credentials",
            {
                "token": "https://login.example/token",
                "client_id": "TO FILL",
                "client_secret": SECRET,
                "scope": "calls lines",
            },
        ),
        (
            {"type": "oauth2", "flows": {"authorizationCode": FLOWS["authorizationCode"]}},
            "oauth",
            {"authorize": "/oauth/authorize", "token": "/oauth/token", "scope": "calls", **ENDS},
        ),
        (
            {"type": "openIdConnect", "openIdConnectUrl": "https://login.example/.well-known/openid-configuration"},
            "oauth",
            {"authorize": "TO FILL", "token": "TO FILL", "scope": "TO FILL", **ENDS},
        ),
    ],
)
def test_a_security_scheme_is_a_kind_of_connection(
    tmp_path: Path, scheme: dict[str, Any], kind: str, keys: dict[str, Any]
) -> None:
    text = drafted("openapi", secured(tmp_path, PLAIN, its=scheme))
    assert faults(text) == []
    connection = tomllib.loads(text)["connection"]
    assert connection["kind"] == kind and connection[kind] == keys
    own = kind == "oauth"
    assert ("link" in connection) is not own and ("match" in connection) is not own
    assert ("person" in connection) is not own
    assert f"connection: kind {kind}, the security scheme its" in text


@pytest.mark.parametrize(
    ("scheme", "told"),
    [
        ({"type": "apiKey", "in": "query", "name": "key"}, "by a key in the query"),
        ({"type": "http", "scheme": "bearer"}, "by HTTP authentication bearer"),
        ({"type": "mutualTLS"}, "by a client certificate ([connection.tls])"),
        ({"type": "oauth2", "flows": {"implicit": {}}}, "by the OAuth flow implicit"),
    ],
)
def test_a_scheme_for_which_there_are_no_words_is_told(tmp_path: Path, scheme: dict[str, Any], told: str) -> None:
    text = drafted("openapi", secured(tmp_path, PLAIN, its=scheme))
    assert tomllib.loads(text)["connection"]["kind"] == "assertion" and told in text
    assert "gateway proves itself" not in drafted("openapi", described(tmp_path, PLAIN))


def test_of_several_schemes_the_one_that_calls_need_is_written(tmp_path: Path) -> None:
    key, basic = {"type": "apiKey", "in": "header", "name": "X-Key"}, {"type": "http", "scheme": "basic"}
    text = drafted("openapi", secured(tmp_path, PLAIN, "second", first=key, second=basic))
    assert tomllib.loads(text)["connection"]["kind"] == "basic" and "another way" not in text
    text = drafted("openapi", secured(tmp_path, PLAIN, first=key, second=basic))
    assert tomllib.loads(text)["connection"]["kind"] == "api_key" and "another way to be called, basic" in text


def test_swagger_2_says_it_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "swagger.json"
    definitions = {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}
    responses = {"200": {"description": "", "schema": CALLS}}
    document = {"swagger": "2.0", "paths": {"/calls": {"get": {"responses": responses}}}, "definitions": {}}
    document["components"] = {"schemas": {"PhoneCall": CALL, "Calls": LIST}}
    path.write_text(json.dumps({**document, "securityDefinitions": definitions}))
    assert tomllib.loads(drafted("openapi", path))["connection"]["api_key"]["header"] == "X-Key"


def test_the_customer_of_a_path_is_the_one_that_the_link_knows(tmp_path: Path) -> None:
    paths = {
        "/customers/{customerNo}/contracts/{contractNo}/calls": get(CALLS),
        "/customers/{customerNo}/calls": get(CALLS),
    }
    key = {"type": "apiKey", "in": "header", "name": "X-Key"}
    document = tomllib.loads(drafted("openapi", secured(tmp_path, paths, its=key)))
    assert document["connection"]["person"] == {"path": "/v2/customers/{customer}"}
    assert [call["path"] for call in document["format"]["calls"]] == ["/contracts/{account}/calls", "/calls"]
    assert not any("asks" in call for call in document["format"]["calls"])
    document = tomllib.loads(
        drafted("openapi", secured(tmp_path, {**paths, "/clients/{id}/calls": get(CALLS)}, its=key))
    )
    assert document["connection"]["person"] == {"header": "TO FILL"}, "not all calls begin alike"
    assert [(call["path"], call.get("asks", "")) for call in document["format"]["calls"]][:2] == [
        ("/v2/customers/contracts/{account}/calls", "/v2/customers/{customer}/contracts/{account}/calls"),
        ("/v2/customers/calls", "/v2/customers/{customer}/calls"),
    ]
    (call, *_) = tomllib.loads(drafted("openapi", described(tmp_path, paths)))["format"]["calls"]
    assert "asks" not in call, "links of a bare assertion know no customer"


def test_an_id_that_is_the_account_in_one_path_is_no_choice_of_the_apps_in_another(tmp_path: Path) -> None:
    paths = {"/plants/{plantId}/calls/{callId}/parts": get(CALLS), "/plants/{plantId}/calls": get(CALLS)}
    found = tomllib.loads(drafted("openapi", described(tmp_path, paths)))["format"]["calls"]
    assert [call["path"].removeprefix("/v2") for call in found] == [
        "/plants/{account}/calls/{call_id}/parts",
        "/plants/{account}/calls",
    ]
    paths = {"/users/{userId}/calls/{callId}/parts": get(CALLS)}
    unknown = secured(tmp_path, paths, its={"type": "apiKey", "in": "query", "name": "key"})
    (call,) = tomllib.loads(drafted("openapi", unknown))["format"]["calls"]
    assert call["path"].removeprefix("/v2") == "/users/{account}/calls/{call_id}/parts"


def test_what_a_path_ends_with_is_the_id_of_a_record(tmp_path: Path) -> None:
    account = {**query("accountId", type="string"), "required": True}
    paths = {"/calls": get(CALLS, account), "/calls/{callId}": get(CALL), "/documents/{documentId}/pages": get(CALLS),
             "/documents/{documentId}": get(CALL)}  # fmt: skip
    found = tomllib.loads(drafted("openapi", described(tmp_path, paths)))["format"]["calls"]
    assert {call["path"].removeprefix("/v2") for call in found} == {
        "/calls/{account}", "/calls/{call_id}", "/documents/{account}/pages", "/documents/{document_id}"
    }  # fmt: skip


def test_a_call_without_the_parameter_of_pages_that_others_have_has_none(tmp_path: Path) -> None:
    calls = {"type": "array", "items": CALL}
    paths = {"/calls": get(calls, query("page", type="integer")), "/lines": get({"type": "array", "items": ACCOUNT})}
    found = {
        call["name"]: call for call in tomllib.loads(drafted("openapi", described(tmp_path, paths)))["format"]["calls"]
    }
    assert found["lines"]["pages"] is False and "pages" not in found["calls"]
    both = {**paths, "/lines": get({"type": "array", "items": ACCOUNT}, query("page", type="integer"))}
    assert "pages = false" not in drafted("openapi", described(tmp_path, both))


@pytest.mark.parametrize("name", ["fields", "$select", "select"])
def test_a_parameter_that_chooses_members_is_one_of_fields(tmp_path: Path, name: str) -> None:
    form = tomllib.loads(drafted("openapi", described(tmp_path, {"/calls": get(CALLS, query(name))})))["format"]
    assert form["parameters"] == {name: {"as": "fields"}} and form["calls"][0]["query"] == [name]


def test_what_may_be_left_out_of_the_accounts_is_said(tmp_path: Path) -> None:
    text = drafted("openapi", described(tmp_path, PLAIN))
    assert tomllib.loads(text)["format"]["accounts"] == {"call": "TO FILL", "native": "TO FILL"}
    assert "If no call lists them, take it all out." in text
    assert '# label = "MEMBER"' in text and "may be left out" in text


def test_the_list_of_accounts_is_called_as_its_call_is_written(tmp_path: Path) -> None:
    path = described(tmp_path, {"/customer/accounts": get({"type": "array", "items": ACCOUNT})})
    form = tomllib.loads(drafted("openapi", path))["format"]
    assert form["accounts"]["call"] == form["calls"][0]["name"] == "customer-accounts"

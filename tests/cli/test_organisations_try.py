"""`aval organisations try`: the gateway's own engine on a sample, side by side, with no network and no server."""

import json
import os
import re
import stat
import tomllib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from cli_run import ORGANISATIONS, Aval
from telecom import ANSWER, answer, call, declared

from gateway.catalogue import shapes

Run = Callable[..., Aval]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object, **__: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr("socket.socket.connect", connect)
    monkeypatch.setattr("socket.getaddrinfo", connect)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "calls.json"
    path.write_text(ANSWER, encoding="utf-8")
    return path


def told(aval: Run, path: Path, sample: Path | str, *options: str, stdin: str = "") -> dict[str, Any]:
    """The one answer of --json."""
    done = aval("organisations", "try", path, "--answer", sample, "--json", *options, stdin=stdin)
    (found,) = json.loads(done.out)["answers"]
    assert done.code == (1 if found["refusal"] else 0)
    return found  # type: ignore[no-any-return]


def reasons(found: dict[str, Any], record: int = 1) -> dict[str, str]:
    """Member → kind of reason, of one record."""
    rows = found["records"][record - 1]["members"]
    return {row["member"]: row["reason"]["kind"] for row in rows if "reason" in row}


def test_the_two_sides_stand_beside_each_other_with_a_reason_for_what_is_missing(
    aval: Run, tmp_path: Path, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    options = ("--without", "call.length,call.note", "--accounts", "33611111111", "--to", "2026-01-31")
    done = aval("organisations", "try", declared(tmp_path), "--answer", sample, *options)
    assert done.code == 0 and not done.err
    lines = " ".join(done.out.split())
    for text in (
        'timestamp "2026-01-03T10:00:00Z" │= "2026-01-03T10:00:00Z"',
        'msisdn "33611111111" │~ "ACCOUNT-1"',
        "length 63 │x field not chosen: call.length would give it",
        'cell "0A-11" │x declared as -, never given',
        "x record 2: of an account that is not shared: 33622222222",
        "x record 3: outside the period (its time: 2026-02-03T10:00:00Z)",
        'PhoneCall = "… tariff:Tariff" Tariff = "name:s price:d"',
        "2 of 4 records given, 6 of their members withheld. There is a next page.",
        "not chosen Durée: Combien de temps.",
        "not chosen Length: How long it took.",
    ):
        assert str(text) in lines, (text, done.out)


@pytest.mark.parametrize("name", ["Code fuite", 'a "b" c', "l'été dernier", "back\\slash d"])
def test_a_proposed_line_is_a_line_of_toml(aval: Run, tmp_path: Path, name: str) -> None:
    sample = answer(call(3, **{name: "abc"}, other={name: "abc"}))
    done = aval("organisations", "try", declared(tmp_path), "--answer", "-", stdin=sample)
    lines = [line.strip() for line in done.out.splitlines() if line.startswith(("  PhoneCall = ", "  Other = "))]
    read = tomllib.loads("\n".join(lines))
    added, other = shapes.written(name, "s"), read["Other"]
    assert read == {"PhoneCall": f"… {added} other:Other", "Other": added}
    assert shapes.members({"Other": other}, "Other") == {name: "s"}


def test_nothing_of_what_is_withheld_is_in_what_the_app_gets(aval: Run, tmp_path: Path, sample: Path) -> None:
    found = told(aval, declared(tmp_path), sample, "--without", "call.partner,call.note")
    assert "33699999999" not in found["app_gets"] and "mum" not in found["app_gets"]
    assert "33611111111" not in found["app_gets"], "the account's own number"
    assert "33699999999" in told(aval, declared(tmp_path), sample)["app_gets"], "all fields: it is given"


def test_each_member_has_the_reason_that_is_its_own(aval: Run, tmp_path: Path, sample: Path) -> None:
    found = told(aval, declared(tmp_path), sample, "--fields", "call.partner")
    assert reasons(found) == {
        "_id": "pairwise", "msisdn": "reference", "length": "field", "type": "instead", "note": "field",
        "cell": "never", "tariff": "undeclared",
    }  # fmt: skip
    assert {row["member"]: row["reason"]["kind"] for row in found["around"]} == {
        "paging.next": "address", "meta.total": "only-page", "meta.server": "no-rule",
    }  # fmt: skip
    assert found["counts"] == {"records": 4, "records_withheld": 0, "members_withheld": 10}


def test_records_are_withheld_for_one_reason_each(aval: Run, tmp_path: Path, sample: Path) -> None:
    options = ("--accounts", "33611111111", "--from", "2026-01-01", "--to", "2026-01-31", "--records-max", "1")
    found = told(aval, declared(tmp_path), sample, *options)
    assert [row["reason"] and row["reason"]["kind"] for row in found["records"]] == [None, "account", "period", "limit"]
    assert found["other_accounts"] == ["33622222222"] and found["accounts"] == {"33611111111": "ACCOUNT-1"}


def test_without_a_field_that_records_need_none_is_given(aval: Run, tmp_path: Path, sample: Path) -> None:
    needs = (
        'find = ["PhoneCall/length", "PhoneCall/type"]',
        'drops_record = true\nfind = ["PhoneCall/length", "PhoneCall/type"]',
    )
    found = told(aval, declared(tmp_path, needs), sample, "--without", "call.length")
    assert {row["reason"]["text"] for row in found["records"]} == {"without call.length no record is given"}
    assert told(aval, declared(tmp_path, needs), sample)["counts"]["records"] == 4


def test_the_call_is_the_one_that_the_organisation_would_get(aval: Run, tmp_path: Path, sample: Path) -> None:
    asks = (
        'path = "/calls"',
        'path = "/lines/{account}/calls"\nasks = "/v2/cdr?kind=all"\nmethod = "POST"\nbody = { line = "{account}" }',
    )
    found = told(aval, declared(tmp_path, asks), sample, "--from", "2026-01-01", "--query", "limit=5")
    assert found["app_asks"] == "GET /lines/ACCOUNT-1/calls?limit=5"
    assert found["organisation_is_asked"] == {
        "method": "POST",
        "address": "https://api.north-telecom.example/v2/cdr?kind=all&since=2025-12-31T23:00:00Z&limit=5",
        "query": ["kind=all", "since=2025-12-31T23:00:00Z", "limit=5"],
        "headers": {"Authorization": "Bearer ASSERTION"},
        "accept": "application/json",
        "content_type": "application/json",
        "body": '{"line": "33611111111"}',
        "stands_for": {"ASSERTION": "a JWT of a minute about the person, signed by the gateway"},
    }
    assert found["records"][1]["reason"]["text"] == "of another account than the call is for: 33622222222"


def test_a_call_that_is_refused_says_by_which_term(aval: Run, tmp_path: Path, sample: Path) -> None:
    found = told(aval, declared(tmp_path), sample, "--query", "limit=900")
    assert "organisation_is_asked" in found and found["organisation_is_asked"] is None
    assert "Term: limit. Asked: 900. Allowed: 1 to 500." in found["refusal"] and found["app_gets"] == ""
    done = aval("organisations", "try", declared(tmp_path), "--answer", sample, "--query", "limit=900")
    assert done.code == 1 and "REFUSED: the organisation is asked nothing." in done.out
    assert not told(aval, declared(tmp_path), sample, "--query", "limit=500")["refusal"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (answer(call(3, length="long")), "items[0].length is declared as a whole number (i), and is a text"),
        (answer(call(3), call(4, note={"a": 1})), "items[1].note is declared as a text (x), and is an object"),
        (answer(call(3, timestamp="3 janvier")), 'items[0].timestamp is no time as written = "iso" says'),
        ("{not JSON", "it is not JSON (line 1, column 2)"),
        ('{"items": {}}', "items is declared as a list (PhoneCall*), and is an object"),
        ("[" * 100000, "it is not JSON"),
        (b"\xff\xfe".decode("latin-1"), "it is not JSON"),
    ],
)
def test_an_answer_that_the_engine_refuses_is_told_with_the_place(
    aval: Run, tmp_path: Path, text: str, why: str
) -> None:
    found = told(aval, declared(tmp_path), "-", stdin=text)
    assert found["refusal"].startswith(why) and found["app_gets"] == "" and found["counts"]["records"] == 0


def test_a_strict_declaration_refuses_what_it_does_not_know(aval: Run, tmp_path: Path, sample: Path) -> None:
    strict = ('zone = "Europe/Paris"', 'zone = "Europe/Paris"\nstrict = true')
    found = told(aval, declared(tmp_path, strict), sample)
    assert found["refusal"] == "items.tariff is not declared, and strict = true"
    (tmp_path / "known.json").write_text(answer(call(3)))
    assert not told(aval, declared(tmp_path, strict), tmp_path / "known.json")["refusal"]


def test_what_is_proposed_makes_the_declaration_know_the_member(aval: Run, tmp_path: Path, sample: Path) -> None:
    found = told(aval, declared(tmp_path), sample)
    assert found["undeclared"] == [
        {"member": "PhoneCall/tariff", "times": 1, "word": "Tariff", "types": {"Tariff": "name:s price:d"}}
    ]
    path = declared(
        tmp_path,
        ("cell:-", "cell:- tariff:Tariff"),
        ("[format.shapes]", '[format.shapes]\nTariff = "name:s price:d"'),
        ('find = ["PhoneCall/note"]', 'find = ["PhoneCall/note", "PhoneCall/tariff"]'),
    )
    found = told(aval, path, sample)
    assert found["undeclared"] == [] and '"price":"12.50"' in found["app_gets"]


MORE = """[[format.calls]]
name = "lines"
dataset = "telecom.calls"
records = "Line"
path = "/lines"

[format.records.Line]
at = "lines"
account = "msisdn"

[format.pages]"""
LINES = (
    ("[format.pages]", MORE),
    ('"PhoneCall/_id"]', '"PhoneCall/_id", "Line/msisdn", "Line/name"]'),
    ('Answer = "', 'Line = "msisdn:s name:s"\nAnswer = "lines:Line* '),
)


def test_the_call_is_guessed_from_the_answer_and_listed_where_it_cannot_be(
    aval: Run, tmp_path: Path, sample: Path
) -> None:
    path = declared(tmp_path, *LINES)
    assert told(aval, path, sample)["call"] == "calls"
    assert told(aval, path, "-", stdin='{"lines": [{"msisdn": "33611111111", "name": "Home"}]}')["call"] == "lines"
    both = '{"lines": [{"msisdn": "33611111111", "name": "Home"}], "items": []}'
    assert told(aval, path, "-", "--call", "calls", stdin=both)["call"] == "calls"
    done = aval("organisations", "try", path, "--answer", "-", stdin='{"rows": []}')
    assert done.code == 2
    assert "it is of none of the calls: none of its members is there" in done.err
    done = aval("organisations", "try", path, "--answer", "-", stdin='{"meta": {"total": 1}}')
    assert done.code == 2 and "it could be of several calls; say which with --call: " in done.err


def test_several_answers_are_shown_one_after_the_other(aval: Run, tmp_path: Path, sample: Path) -> None:
    lines = tmp_path / "lines.json"
    lines.write_text('{"lines": [{"msisdn": "33611111111", "name": "Home"}]}')
    path = declared(tmp_path, *LINES)
    done = aval(
        "organisations",
        "try",
        path,
        "--answer",
        sample,
        "--call",
        "calls",
        "--answer",
        lines,
        "--call",
        "lines",
        "--json",
    )
    assert [each["call"] for each in json.loads(done.out)["answers"]] == ["calls", "lines"]
    done = aval("organisations", "try", path, "--answer", sample, "--call", "calls", "--answer", lines)
    assert done.code == 2 and "give one for each --answer (2)" in done.err


def test_lines_of_json_are_tried_too(aval: Run, tmp_path: Path) -> None:
    path = declared(
        tmp_path,
        ('driver = "json"', 'driver = "ndjson"'),
        ('at = "items"\n', ""),
        ('[format.pages]\nby = "link"\nat = "paging.next"\n\n[format.around]\n"Meta/total" = "only-page"\n', ""),
        ('Answer = "items:PhoneCall* paging:Paging meta:Meta"\nPaging = "next:s"\nMeta = "total:i server:s"\n', ""),
    )
    text = "\n".join(json.dumps(each) for each in (call(3), call(4, msisdn="33622222222"), call(5, new=1)))
    found = told(aval, path, "-", "--accounts", "33611111111", stdin=text)
    assert [row["given"] for row in found["records"]] == [True, False, True]
    assert len(found["app_gets"].splitlines()) == 2 and found["undeclared"][0]["member"] == "PhoneCall/new"
    assert told(aval, path, "-", stdin=text + "\n{")["refusal"] == "a line of it is not JSON"


def test_a_shared_format_is_tried_as_well(aval: Run, tmp_path: Path) -> None:
    sample = tmp_path / "accounts.json"
    account = {"AccountId": "22289", "Status": "Enabled", "Currency": "GBP", "Nickname": "Bills"}
    sample.write_text(json.dumps({"Data": {"Account": [account]}, "Links": {}, "Meta": {}}))
    found = told(aval, ORGANISATIONS / "harbour-bank.toml", sample, "--without", "account.name")
    assert found["dataset"] == "bank.accounts" and reasons(found) == {"AccountId": "reference", "Nickname": "field"}
    done = aval("organisations", "try", ORGANISATIONS / "city-energy.toml", "--answer", sample)
    assert done.code == 2 and "espi-4 has an engine of its own" in done.err


def test_a_draft_is_tried_before_it_is_finished(aval: Run, tmp_path: Path, sample: Path) -> None:
    path = declared(
        tmp_path,
        ('zone = "Europe/Paris"', 'zone = "TO FILL"'),
        ('base_url = "https://api.north-telecom.example"', 'base_url = "TO FILL"'),
        ('path = "/calls"', 'path = "/TO FILL"'),
        ('name = "calls"', 'name = "all_calls"'),
        ('category = "communications"', 'category = "TO FILL"'),
        ('long = { fr = "Quand vous avez appelé, et combien de temps."', 'long = { fr = "TO FILL"'),
    )
    assert aval("organisations", "lint", path).code == 1
    done = aval("organisations", "try", path, "--answer", sample)
    assert done.code == 0 and "in place of TO FILL: zone = UTC, path = /to-fill" in done.out
    assert "Texts of it still say TO FILL" in done.out and "4 of 4 records given" in done.out


def test_a_declaration_that_is_wrong_is_told_as_lint_tells_it(aval: Run, tmp_path: Path, sample: Path) -> None:
    path = declared(
        tmp_path, ('instant = "timestamp"', 'instant = "when"'), ('privacy = "privacy@north-telecom.example"', "")
    )
    done = aval("organisations", "try", path, "--answer", sample)
    assert done.code == 1 and done.err == (
        f"aval: {path}: format.records.PhoneCall.instant: is not right; 'when' leads to no member of PhoneCall\n"
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--without", "call.when"], "--without call.when: it is always given (structural = true)"),
        (["--fields", "call.lenght"], "--fields call.lenght: there is no such field; did you mean call.length?"),
        (["--from", "yesterday"], "--from yesterday: write a day as 2026-01-31, or a time as 2026-01-31T12:00:00Z"),
        (["--from", "2026-02-01", "--to", "2026-01-31"], "the period would be empty"),
        (["--call", "cals"], "--call cals: there is no such call; did you mean calls?"),
        (["--dataset", "telecom.call"], "is not in the declaration; did you mean telecom.calls?"),
        (["--query", "limit"], "--query limit: write NAME=VALUE"),
        (["--records-max", "0"], "Invalid value for '--records-max'"),
        (["--html", "{sample}"], "is the declaration or a sample itself; name another file"),
        (["--html", "{folder}/no/such/place.html"], "cannot be written (No such file or directory)"),
    ],
)
def test_a_wrong_command_line_ends_2_with_what_to_do(
    aval: Run, tmp_path: Path, sample: Path, options: list[str], why: str
) -> None:
    options = [each.format(sample=sample, folder=tmp_path) for each in options]
    done = aval("organisations", "try", declared(tmp_path), "--answer", sample, *options)
    assert done.code == 2 and why in done.err
    assert sample.read_text() == ANSWER


@pytest.mark.parametrize("width", [60, 80, 160])
def test_no_line_is_wider_than_the_terminal(
    aval: Run, tmp_path: Path, sample: Path, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.chdir(tmp_path)
    file, answers = declared(tmp_path).name, sample.name
    done = aval("organisations", "try", file, "--answer", answers, "--without", "call.length", "--all")
    assert max(map(len, done.out.splitlines())) <= width


def test_many_records_are_shown_in_part_and_with_all_wholly(aval: Run, tmp_path: Path) -> None:
    text = answer(*(call(1 + number % 28) for number in range(40)), *(call(1, msisdn="33622222222") for _ in range(9)))
    options = ("--answer", "-", "--accounts", "33611111111")
    done = aval("organisations", "try", declared(tmp_path), *options, stdin=text)
    assert "given, too: record 4–40. --all shows them." in done.out and "record 40 of 49" not in done.out
    assert "x and for the same reason: record 45–49" in done.out
    done = aval("organisations", "try", declared(tmp_path), *options, "--all", stdin=text)
    assert "record 40 of 49" in done.out and "x record 49: of an account" in done.out


# ---- the page


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_nothing_but_itself_and_is_for_its_owner_alone(aval: Run, tmp_path: Path) -> None:
    out, script = tmp_path / "calls.html", "<script>alert(1)</script><img src=x onerror=alert(1)>"
    text = answer(call(3, note=script, **{"<b>new</b>": script}), call(4, msisdn="33622222222"))
    options = ("--answer", "-", "--html", out, "--accounts", "33611111111")
    done = aval("organisations", "try", declared(tmp_path), *options, stdin=text)
    assert done.code == 0 and f"{out}: written; it holds the data of the sample" in done.out
    page = Page(out.read_text(encoding="utf-8"))
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "b"}
    assert not [
        name for _, attributes in page.tags for name in attributes if name in ("src", "href") or name.startswith("on")
    ]
    policy = next(attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes)
    assert policy is not None and re.match(r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='", policy)
    assert stat.S_IMODE(os.stat(out).st_mode) == 0o600


def test_the_page_says_the_same_as_the_terminal_and_colour_is_not_its_only_mark(
    aval: Run, tmp_path: Path, sample: Path
) -> None:
    out = tmp_path / "calls.html"
    done = aval(
        "organisations",
        "try",
        declared(tmp_path),
        "--answer",
        sample,
        "--html",
        out,
        "--without",
        "call.note",
        "--json",
    )
    (found,) = json.loads(done.out)["answers"]
    assert str(out) in done.err
    text = out.read_text(encoding="utf-8").replace("&#39;", "'").replace("&#34;", '"')
    rows = [row for each in found["records"] for row in each["members"]] + found["around"]
    for row in rows:
        assert row["member"] in text and row.get("reason", {"text": ""})["text"] in text
    assert text.count('aria-label="does not leave"') == sum(row["fate"] == "withheld" for row in rows)
    for words in found["screen"].values():
        assert words["heading"] in text and all(field["label"] in text for field in words["fields"])


def test_a_second_page_takes_the_place_of_the_first(aval: Run, tmp_path: Path, sample: Path) -> None:
    out = tmp_path / "calls.html"
    for _ in range(2):
        assert aval("organisations", "try", declared(tmp_path), "--answer", sample, "--html", out).code == 0
    assert out.read_text(encoding="utf-8").count("<html") == 1

"""`aval organisations try`: what a live call would be, and what would go otherwise in it than in the trial."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_run import Aval
from telecom import ANSWER, answer, call, declared

Run = Callable[..., Aval]
SECRET = "do-not-show-me"
LINKED = "[connection.link]\n"
BY_LINE = ('path = "/calls"', 'path = "/lines/{account}/calls"\nasks = "/v2/cdr?msisdn={account}&version=2"')
LINES = (
    ("[format.pages]", """[[format.calls]]
name = "lines"
dataset = "telecom.calls"
records = "Line"
path = "/lines"

[format.records.Line]
at = "lines"
account = "msisdn"

[format.accounts]
call = "lines"
native = "msisdn"

[format.pages]"""),
    ('"PhoneCall/_id"]', '"PhoneCall/_id", "Line/msisdn"]'),
    ('Answer = "', 'Line = "msisdn:s"\nAnswer = "lines:Line* '),
)  # fmt: skip


def connected(kind: str, table: str = "", person: str = "") -> tuple[tuple[str, str], ...]:
    """Changes that make the file's connection another."""
    place = f"[connection.person]\n{person}\n\n" if person else ""
    match = 'match = "number"\n' if kind != "assertion" else ""
    return ('kind = "assertion"\n', f'kind = "{kind}"\n{match}'), (LINKED, f"{table}\n\n{place}{LINKED}")


BASIC = ("basic", f'[connection.basic]\nuser = "{SECRET}"\nsecret = {{ env = "{SECRET}" }}')
API_KEY = ("api_key", f'[connection.api_key]\nheader = "X-Api-Key"\nsecret = {{ env = "{SECRET}" }}')


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "calls.json"
    path.write_text(ANSWER, encoding="utf-8")
    return path


def tried(aval: Run, path: Path, sample: Path, *options: str) -> dict[str, Any]:
    done = aval("organisations", "try", path, "--answer", sample, "--json", *options)
    assert not done.err, done.err
    (found,) = json.loads(done.out)["answers"]
    return found  # type: ignore[no-any-return]


# ---- the call upstream


@pytest.mark.parametrize(
    ("person", "address", "headers"),
    [
        ('header = "X-Customer"', "/v2/cdr?msisdn=33611111111&version=2", {"X-Customer": "CUSTOMER"}),
        ('query = "customer"', "/v2/cdr?msisdn=33611111111&version=2&customer=CUSTOMER", {}),
        ('path = "/of/{customer}"', "/of/CUSTOMER/v2/cdr?msisdn=33611111111&version=2", {}),
    ],
)
def test_the_customer_stands_where_the_connection_places_her(
    aval: Run, tmp_path: Path, sample: Path, person: str, address: str, headers: dict[str, str]
) -> None:
    path = declared(tmp_path, *connected(*API_KEY, person), BY_LINE)
    assert aval("organisations", "lint", path).code == 0
    asked = tried(aval, path, sample)["organisation_is_asked"]
    assert asked["address"] == f"https://api.north-telecom.example{address}"
    assert asked["headers"] == {**headers, "X-Api-Key": "SECRET"}
    assert [each for each in asked["query"] if "CUSTOMER" in each] == ["customer=CUSTOMER"] * ("query" in person)
    where = person.partition(" ")[0]
    assert asked["stands_for"]["CUSTOMER"] == f"the customer that the person's link knows ([connection.person] {where})"


def test_the_word_customer_is_filled_in_path_query_and_body(aval: Run, tmp_path: Path, sample: Path) -> None:
    asks = 'path = "/calls"\nasks = "/of/{customer}/cdr?who={customer}"\nmethod = "POST"\nbody = { of = "{customer}" }'
    path = declared(tmp_path, *connected(*API_KEY, 'header = "X-Customer"'), ('path = "/calls"', asks))
    assert aval("organisations", "lint", path).code == 0
    asked = tried(aval, path, sample)["organisation_is_asked"]
    assert asked["address"].endswith("/of/CUSTOMER/cdr?who=CUSTOMER") and asked["body"] == '{"of": "CUSTOMER"}'
    assert asked["method"] == "POST" and asked["query"] == ["who=CUSTOMER"]


OAUTH = """[connection.oauth]
authorize = "/authorize"
token = "/token"
revoke = "/revoke"
client_id = "aval"
client_secret = { env = "do-not-show-me" }
scope = "calls"
"""


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ((), {"Authorization": "Bearer ASSERTION"}),
        (connected(*API_KEY, 'query = "c"'), {"X-Api-Key": "SECRET"}),
        (connected(*BASIC, 'query = "c"'), {"Authorization": "Basic SECRET"}),
        (connected("signed", "", 'query = "c"'), {"Signature": "aval=:SIGNATURE:"}),
        ((('kind = "assertion"', 'kind = "oauth"'), (LINKED, OAUTH + LINKED)), {"Authorization": "Bearer TOKEN"}),
    ],
)
def test_the_proof_is_named_and_no_secret_is_shown(
    aval: Run,
    tmp_path: Path,
    sample: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: tuple[tuple[str, str], ...],
    headers: dict[str, str],
) -> None:
    monkeypatch.setenv(SECRET, SECRET)
    path, out = declared(tmp_path, *changes), tmp_path / "page.html"
    asked = tried(aval, path, sample)["organisation_is_asked"]
    assert asked["headers"] == headers
    done = aval("organisations", "try", path, "--answer", sample, "--html", out)
    page = out.read_text(encoding="utf-8")
    for name, value in headers.items():
        assert f"{name}: {value}" in page and value in done.out
    for text in (json.dumps(asked), page, done.out):
        assert SECRET not in text
    for word, what in asked["stands_for"].items():
        assert f"stands for {what}" in page.replace("&#39;", "'") and word in page
        assert f"stands for {what}" in " ".join(done.out.split())


def test_an_account_that_nothing_names_is_a_word_that_is_told(aval: Run, tmp_path: Path, sample: Path) -> None:
    path = declared(tmp_path, ('account = "msisdn"\n', ""), BY_LINE)
    asked = tried(aval, path, sample)["organisation_is_asked"]
    assert "msisdn=account-of-the-call&" in asked["address"]
    assert asked["stands_for"]["account-of-the-call"].startswith("the account that the app names")
    named = tried(aval, declared(tmp_path, BY_LINE), sample)["organisation_is_asked"]
    assert "account-of-the-call" not in named["stands_for"] and "msisdn=33611111111&" in named["address"]


def test_a_call_that_would_name_nobody_is_told(aval: Run, tmp_path: Path, sample: Path) -> None:
    path = declared(tmp_path, *connected(*API_KEY))
    assert "names nobody" in " ".join(tried(aval, path, sample)["warnings"])
    path = declared(tmp_path, *connected(*API_KEY, 'header = "X-Customer"'))
    assert tried(aval, path, sample)["warnings"] == []


def test_an_organisation_of_files_is_not_called(aval: Run, tmp_path: Path, sample: Path) -> None:
    path = declared(
        tmp_path,
        ('kind = "assertion"\nbase_url = "https://api.north-telecom.example"', 'kind = "files"'),
        ('[connection.link]\nstart = "/link/start"\nconfirm = "/link/confirm"\nunlink = "/link/end"\n',
         '[connection.files]\nkept = "P40D"\n'),
        ('[format.pages]\nby = "link"\nat = "paging.next"\n', ""),
    )  # fmt: skip
    found = tried(aval, path, sample)
    assert found["organisation_is_asked"] is None and not found["refusal"]
    assert [each.partition(",")[0] for each in found["warnings"]] == [
        "the file has the records of 2 customers (33611111111"
    ]
    assert found["accounts_of_a_live_call"] == "those that the records of her files name"
    done = aval("organisations", "try", path, "--answer", sample)
    told = " ".join(done.out.split())
    assert "the organisation is not called: the gateway answers from the files of the call calls" in told


def test_a_file_that_names_no_account_has_one_of_the_customer_herself(aval: Run, tmp_path: Path) -> None:
    path = declared(
        tmp_path,
        ('kind = "assertion"\nbase_url = "https://api.north-telecom.example"', 'kind = "files"'),
        ('[connection.link]\nstart = "/link/start"\nconfirm = "/link/confirm"\nunlink = "/link/end"\n',
         '[connection.files]\nkept = "P40D"\ncustomer = "msisdn"\n'),
        ('[format.pages]\nby = "link"\nat = "paging.next"\n', ""),
        ('account = "msisdn"\n', ""),
        ('path = "/calls"', 'path = "/lines/{account}/calls"'),
    )  # fmt: skip
    (tmp_path / "one.json").write_text(answer(call(3), call(4)), encoding="utf-8")
    told = " ".join(aval("organisations", "try", path, "--answer", tmp_path / "one.json").out.split())
    assert "accounts the file names none in a live call one, of the customer herself, with all the records" in told


# ---- whose accounts


def test_accounts_that_no_link_would_know_are_told_by_try_and_lint(aval: Run, tmp_path: Path, sample: Path) -> None:
    path = declared(tmp_path)
    (warning,) = tried(aval, path, sample)["warnings"]
    assert warning.startswith("a live call would give nothing of this: records.PhoneCall has account = ")
    assert 'native = "msisdn"' in warning
    done = aval("organisations", "try", path, "--answer", sample)
    assert done.code == 0 and "WARNING: a live call would give nothing of this" in done.out
    linted = aval("organisations", "lint", path)
    assert linted.code == 0 and "links of kind assertion know no account without it" in linted.out
    assert aval("organisations", "lint", "--strict", "--ignore", "same-words", path).code == 1


@pytest.mark.parametrize(
    ("changes", "live"),
    [
        (LINES, "those that the call lines listed when she linked, by msisdn ([format.accounts])"),
        (connected(*API_KEY, 'query = "c"'), "one: her customer number, as her link keeps it"),
        (connected("assertion", "", 'query = "c"'), "one: her customer number, as her link keeps it"),
        ((('account = "msisdn"\n', ""),), ""),
    ],
    ids=["listed", "by number", "by number beside an assertion", "none is named"],
)
def test_accounts_that_a_link_knows_are_told_and_no_warning_is(
    aval: Run, tmp_path: Path, sample: Path, changes: tuple[tuple[str, str], ...], live: str
) -> None:
    path = declared(tmp_path, *changes)
    assert "accounts-unknown" not in aval("organisations", "lint", path).out
    found = tried(aval, path, sample, "--call", "calls")
    assert found["accounts_of_a_live_call"] == live and not found["warnings"]
    done = aval("organisations", "try", path, "--answer", sample, "--call", "calls", "--accounts", "33611111111")
    told = " ".join(done.out.split())
    assert (f"in a live call {live}; these are as --accounts says" in told) == bool(live)


def test_an_account_that_stands_nowhere_in_the_answer_is_told(aval: Run, tmp_path: Path, sample: Path) -> None:
    path = declared(tmp_path, *LINES)
    options = ("--call", "calls", "--accounts", "0611111111,33622222222")
    (warning,) = tried(aval, path, sample, *options)["warnings"]
    assert warning == "0611111111, of --accounts, stands nowhere in the answer, which names 33611111111, 33622222222"
    assert not tried(aval, path, sample, "--call", "calls", "--accounts", "33622222222")["warnings"]

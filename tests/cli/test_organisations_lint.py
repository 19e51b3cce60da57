"""`aval organisations lint`: everything at once, each with its line; what is risky, with why; nothing is opened."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_run import ORGANISATIONS, ROOT, Aval
from telecom import DECLARATION, declared

Run = Callable[..., Aval]
# "Date" is the same word in both languages, and the file names accounts that its links do not know
QUIET = ("--ignore", "same-words", "--ignore", "accounts-unknown")


def place(path: Path, text: str) -> str:
    """file:line of a text that stands once in the file."""
    whole = path.read_text()
    assert whole.count(text) == 1, text
    return f"{path}:{whole[: whole.index(text)].count(chr(10)) + 1}"


def test_a_declaration_without_faults_and_risks_ends_0_and_says_so(aval: Run, tmp_path: Path) -> None:
    path = declared(tmp_path)
    done = aval("organisations", "lint", path, *QUIET)
    assert (done.code, done.out, done.err) == (0, f"{path}: no errors, no warnings\n", "")


def test_the_examples_have_no_errors_and_no_warnings(aval: Run) -> None:
    done = aval("organisations", "lint", "--strict", *sorted(ORGANISATIONS.glob("*.toml")))
    assert done.code == 0 and done.out.count("no errors, no warnings") == 3


def test_it_needs_no_gateway_and_leaves_none(aval: Run, folder: Path, tmp_path: Path) -> None:
    assert aval("organisations", "lint", declared(tmp_path)).code == 0
    assert not folder.exists()


def test_everything_that_is_wrong_is_told_at_once_with_its_line(aval: Run, tmp_path: Path) -> None:
    path = declared(
        tmp_path,
        ('zone = "Europe/Paris"', 'zone = "Europe/Pariss"'),
        ('privacy = "privacy@north-telecom.example"\n', ""),
        ('start = "/link/start"', 'start = "link"\nstrat = 1'),
        ('find = ["PhoneCall/partner"]', 'find = ["PhoneCall/parner"]'),
        ('limit = { as = "size", most = 500 }', 'limit = { as = "sise", most = 0 }'),
        ('instant = "timestamp"', 'instant = "when"'),
        ("note:x cell:-", "note:x cell:-\nroaming:b"),
    )
    done = aval("organisations", "lint", path, *QUIET)
    assert done.code == 1 and not done.err
    limit = place(path, "limit = {")
    assert done.out.splitlines() == [
        f"{place(path, 'zone =')}: zone: is not right; write an IANA name, as in Europe/Paris",
        f"{place(path, '[contact]')}: contact.privacy: is missing; write a mail address",
        f"{place(path, 'start =')}: connection.link.start: is not right; write a plain path, as in /oauth/token",
        f"{place(path, 'strat')}: connection.link.strat: is not a key of a declaration; did you mean start?",
        f"{place(path, 'parner')}: datasets[0].call.partner: find: is not right;"
        " 'PhoneCall/parner' is no member of the format declared here",
        f"{limit}: format.parameters.limit.as: is not right; one of from, to, page, size, fields, choice",
        f"{limit}: format.parameters.limit.most: is not right; write a whole number from 1 to 1000000",
        f"{place(path, 'instant =')}: format.records.PhoneCall.instant: is not right;"
        " 'when' leads to no member of PhoneCall",
        f"{place(path, 'PhoneCall = ')}: format.shapes.PhoneCall: is not right; partner is in no field:"
        " put 'PhoneCall/partner' into a field's find, or write partner:-",
        f"{place(path, 'roaming:b')}: format.shapes.PhoneCall: is not right; roaming is in no field:"
        " put 'PhoneCall/roaming' into a field's find, or write roaming:-",
        "",
        f"{path}: 10 errors, no warnings",
    ]


def test_what_lint_refuses_add_refuses_and_the_other_way_round(aval: Run, tmp_path: Path) -> None:
    """The same sentences, key by key."""
    path = declared(
        tmp_path, ('id = "telecom.calls"', 'id = "telecom.calls"\nlabell = 1'), ('at = "items"', 'at = "list"')
    )
    linted, added = aval("organisations", "lint", path, *QUIET), aval("organisations", "add", path)
    assert linted.code == added.code == 1
    told = {each.partition(": ")[2] for each in linted.out.splitlines()[:-2]}
    assert told == {each.removeprefix(f"aval: {path}: ") for each in added.err.splitlines() if str(path) in each}


def test_shapes_that_cannot_be_read_hide_no_other_fault_and_it_is_said_that_more_may_follow(
    aval: Run, tmp_path: Path
) -> None:
    path = declared(tmp_path, ("total:i server:s", "total:i server:z"), ('as = "size"', 'as = "sise"'))
    done = aval("organisations", "lint", path)
    assert done.code == 1 and "server: z is no type of the table" in done.out and "parameters.limit.as" in done.out
    assert place(path, "server:z") in done.out
    assert done.out.splitlines()[-1].endswith("more may follow once [format.shapes] can be read")


def test_a_file_that_is_no_toml_is_told_with_its_line_and_its_gaps(aval: Run, tmp_path: Path) -> None:
    path = declared(tmp_path, ('zone = "Europe/Paris"', "zone = Europe/Paris"), ('"North Telecom SA"', '"TO FILL"'))
    done = aval("organisations", "lint", path)
    assert done.code == 1
    assert f"{place(path, 'zone =')}: file: is not TOML: Invalid value; put this line right first" in done.out
    assert f"{place(path, 'legal_entity')}: legal_entity: is still TO FILL; write it" in done.out


@pytest.mark.parametrize(
    "content", [b"id = \xff", b"", b"datasets = 1\nformat = 2", b"[[datasets]]\n[format]\n", b"\xef\xbb\xbf"]
)
def test_whatever_the_file_it_is_told_and_nothing_breaks(aval: Run, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.toml"
    path.write_bytes(content)
    done = aval("organisations", "lint", path)
    assert done.code == 1 and f"{path}:1: " in done.out


def test_what_a_draft_has_left_open_is_an_error_and_told_once_with_what_would_be_right(
    aval: Run, tmp_path: Path
) -> None:
    path = declared(
        tmp_path,
        ('{ fr = "Télécom du Nord", en = "North Telecom" }', '{ fr = "TO FILL", en = "TO FILL" }'),
        ('privacy = "privacy@north-telecom.example"', 'privacy = "TO FILL"'),
        ('short = { fr = "Combien de temps.", en', 'short = { fr = "TO FILL", en'),
        ('account = "msisdn"', 'account = "msisdn"  # guessed: by its name'),
    )
    done = aval("organisations", "lint", path, *QUIET)
    assert done.code == 1
    assert done.out.splitlines()[:3] == [
        f"{place(path, 'name = { fr = ' + chr(34) + 'TO')}: name: is still TO FILL (fr, en); write both",
        f"{place(path, 'privacy')}: contact.privacy: is still TO FILL; write a mail address",
        f"{place(path, 'How long it took')}: datasets[0].call.length.short.fr: is still TO FILL; write it",
    ]
    assert f'{place(path, "# guessed")}: warning: draft: 1 guess of a draft, marked "# guessed"' in done.out


def test_no_name_is_looked_up(aval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: object, **__: object) -> None:
        raise AssertionError("a name was looked up")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    inside = (
        'base_url = "https://api.north-telecom.example"',
        'base_url = "http://api.inside"\nnetworks = ["10.0.0.0/8"]',
    )
    assert aval("organisations", "lint", declared(tmp_path, inside)).code == 0
    outside = ('base_url = "https://api.north-telecom.example"', 'base_url = "http://api.inside"')
    done = aval("organisations", "lint", declared(tmp_path, outside))
    assert done.code == 1 and "http is only for private networks listed in connection.networks" in done.out


MANY = ", ".join(f'"PhoneCall/m{number}"' for number in range(13))
LINES = """[[format.calls]]
name = "lines"
dataset = "telecom.calls"
records = "PhoneCall"
path = "/lines"

[format.accounts]
call = "lines"
native = "msisdn"

[format.pages]"""
RISKS = {
    "free-text": [
        ('"PhoneCall/_id"]', '"PhoneCall/_id", "PhoneCall/note"]'),
        ('find = ["PhoneCall/note"]', 'find = ["PhoneCall/note", "PhoneCall/length"]'),
    ],
    "text-unsaid": [
        ('fr = "Commentaire", en = "Comment"', 'fr = "Reste", en = "Rest"'),
        ("Ce que vous avez écrit. Il peut contenir des noms.", "Le reste."),
    ],
    "identifier": [("_id:p", "_id:s")],
    "json": [("partner:s", "partner:j")],
    "no-choice": [
        (f'id = "call.{name}"\n', f'id = "call.{name}"\nstructural = true\n') for name in ("length", "partner", "note")
    ],
    "many-members": [
        ("cell:-", "cell:- " + " ".join(f"m{number}:i" for number in range(13))),
        ('find = ["PhoneCall/partner"]', f'find = [{MANY}, "PhoneCall/partner"]'),
    ],
    "sensitivity": [
        ('sensitivity = "special"', 'sensitivity = "none"'),
        ("partner:s", "partner:s latitude:n"),
        ('["PhoneCall/partner"]', '["PhoneCall/partner", "PhoneCall/latitude"]'),
    ],
    "no-time": [('instant = "timestamp"\n', ""), (', find = "PhoneCall/timestamp"', "")],
    "may-widen": [
        ("[format.parameters]", '[format.parameters]\nwith_partner = { as = "choice", values = ["true"] }'),
        ('"until", "limit"', '"until", "limit", "with_partner"'),
    ],
    "one-page": [
        ('by = "link"\nat = "paging.next"\n', 'by = "page"\nparameter = "page"\n'),
        ("[format.parameters]", '[format.parameters]\npage = { as = "page" }'),
        ('"until", "limit"]', '"until", "limit", "page"]'),
        ("[format.pages]", LINES.replace("[[format.calls]]", "\n[[format.calls]]", 1)),
    ],
    "no-next": [
        ("[format.pages]", LINES.replace('path = "/lines"', 'path = "/lines"\nenvelope = "Other"')),
        ("[format.shapes]", '[format.shapes]\nOther = "items:PhoneCall*"'),
    ],
    "any-id": [
        ('kind = "assertion"', 'kind = "basic"\nmatch = "number"'),
        (
            "[connection.link]",
            '[connection.basic]\nuser = "u"\nsecret = { env = "S" }\n'
            '[connection.person]\nheader = "X-C"\n\n[connection.link]',
        ),
        ('account = "msisdn"\n', 'whose = "person"\n'),
        ('path = "/calls"', 'path = "/users/{user}/calls"'),
    ],
    "no-account": [
        ('account = "msisdn"\n', ""),
        ('path = "/calls"', 'path = "/lines/{account}/calls"'),
        ("[format.pages]", LINES),
    ],
    "other-account": [
        ('account = "msisdn"\n', 'account = "clientId"\n'),
        ("msisdn:s", "msisdn:s clientId:s"),
        ('"PhoneCall/msisdn", ', '"PhoneCall/msisdn", "PhoneCall/clientId", '),
        ("[format.pages]", LINES),
    ],
    "accounts-unknown": [],  # the file has it
    "no-call": [('id = "telecom.calls"', 'id = "telecom.calls"\npaths = ["/elsewhere"]')],
    "same-words": [('en = "Length"', 'en = "Durée"')],
    "long-sentence": [("When you called, and for how long.", "When you " + "called and " * 12 + "for how long.")],
    "unused-type": [("[format.shapes]", '[format.shapes]\nOther = "a:s"')],
    "folder": [
        ('kind = "assertion"\nbase_url = "https://api.north-telecom.example"', 'kind = "files"'),
        (
            '[connection.link]\nstart = "/link/start"\nconfirm = "/link/confirm"\nunlink = "/link/end"\n',
            '[connection.files]\nkept = "P40D"\nfolder = "/srv/nobody/made-it"\n',
        ),
        ("[[datasets]]", '[[connection.files.names]]\npattern = "calls-*.json"\ncall = "calls"\n\n[[datasets]]'),
        ('[format.pages]\nby = "link"\nat = "paging.next"\n', ""),
    ],
    "guessed": [('instant = "timestamp"', 'instant = "timestamp" # guessed')],
}


@pytest.mark.parametrize("rule", RISKS)
def test_each_risk_is_a_warning_with_its_line_and_why_it_matters(aval: Run, tmp_path: Path, rule: str) -> None:
    from gateway.formats.linting import WHY

    assert RISKS.keys() == WHY.keys()
    path = declared(tmp_path, *RISKS[rule])
    done = aval("organisations", "lint", path)
    found = [each for each in done.out.splitlines() if each.endswith(f"[{rule}]")]
    assert found and all(each.startswith(f"{path}:") and ": warning: " in each for each in found), done.out
    assert WHY[rule] in " ".join(done.out.split())
    assert rule == "no-account" or done.code == 0, done.out
    assert aval("organisations", "lint", "--strict", path).code == 1
    assert f"[{rule}]" not in aval("organisations", "lint", "--ignore", rule, path).out


def test_a_declaration_has_none_of_these_risks_unless_they_are_put_in(aval: Run, tmp_path: Path) -> None:
    assert aval("organisations", "lint", "--strict", *QUIET, declared(tmp_path)).code == 0


def test_the_lines_of_an_editor(aval: Run, tmp_path: Path) -> None:
    path = declared(tmp_path, ("_id:p", "_id:s"), ('zone = "Europe/Paris"', 'zone = "Mars"'))
    done = aval("organisations", "lint", "--json", path)
    rows = json.loads(done.out)
    assert done.code == 1 and {row["level"] for row in rows} == {"error", "warning"}
    assert rows[0] == {
        "file": str(path), "level": "error", "rule": "wrong", "line": 5, "key": "zone", "wrong": "is not right",
        "right": "write an IANA name, as in Europe/Paris", "why": "",
    }  # fmt: skip
    risk = next(row for row in rows if row["rule"] == "identifier")
    assert risk["line"] == DECLARATION[: DECLARATION.index('id = "call.when"')].count("\n") and risk["why"]
    assert json.loads(aval("organisations", "lint", "--json", *QUIET, declared(tmp_path)).out) == []


def test_several_files_are_told_one_after_the_other(aval: Run, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    first, second = declared(tmp_path), declared(tmp_path / "b", ('zone = "Europe/Paris"', 'zone = "Mars"'))
    done = aval("organisations", "lint", *QUIET, first, second)
    assert done.code == 1
    assert f"{first}: no errors, no warnings" in done.out and f"{second}: 1 error, no warnings" in done.out


def test_policies_of_ones_own_are_those_that_count(aval: Run, tmp_path: Path) -> None:
    path = declared(tmp_path)
    assert aval("organisations", "lint", "--policies", ROOT / "policies", path).code == 0
    done = aval("organisations", "lint", "--policies", tmp_path / "none", path)
    assert done.code == 2 and "is no folder" in done.err
    (tmp_path / "empty").mkdir()
    done = aval("organisations", "lint", "--policies", tmp_path / "empty", path)
    assert done.code == 2 and done.err.startswith("aval: policies: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.toml"], "nowhere.toml: file: cannot be read (No such file or directory)"),
        (["--ignore", "fre-text", "x.toml"], "--ignore fre-text: there is no such rule; one of free-text, "),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_be_done_ends_2_with_what_to_do(aval: Run, arguments: list[str], told: str) -> None:
    done = aval("organisations", "lint", *arguments)
    assert done.code == 2 and told in done.err and not done.out


def test_colours_are_for_a_terminal_only(tmp_path: Path) -> None:
    path = declared(tmp_path, ('zone = "Europe/Paris"', 'zone = "Mars"'))
    command = f"{sys.executable} -m gateway organisations lint {path}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AVAL_", "NO_COLOR"))}

    def told(on_terminal: bool, **more: str) -> bytes:
        shown = ["script", "-qec", command, "/dev/null"] if on_terminal else command.split()
        done = subprocess.run(shown, capture_output=True, cwd=ROOT, env={**environment, "TERM": "xterm", **more})
        return done.stdout

    if not any((Path(each) / "script").exists() for each in os.environ["PATH"].split(":")):
        pytest.skip("script(1), which makes a terminal, is not here")
    assert b"\x1b[" in told(True)
    assert b"\x1b[" not in told(True, NO_COLOR="1") and b"\x1b[" not in told(False)


@pytest.mark.parametrize(
    ("typo", "right"), [("telecom.cals", "did you mean telecom.calls?"), ("x", "one of telecom.calls")]
)
def test_a_call_of_a_type_of_data_that_is_not_there_is_one_fault(
    aval: Run, tmp_path: Path, typo: str, right: str
) -> None:
    """Also in `try` and `add`, and not told again of the type of data, which has no call by that."""
    path = declared(tmp_path, ('dataset = "telecom.calls"', f'dataset = "{typo}"'))
    told = f"format.calls.calls.dataset: {typo!r} is no type of data of this file; {right}"
    done = aval("organisations", "lint", path, *QUIET)
    assert done.code == 1 and done.out.splitlines()[0] == f"{place(path, 'dataset =')}: {told}"
    assert f"{path}: 1 error, " in done.out
    (tmp_path / "answer.json").write_text("{}")
    for command in (("try", path, "--answer", tmp_path / "answer.json"), ("add", path)):
        done = aval("organisations", *command)
        assert done.code == 1 and [line for line in done.err.splitlines() if str(path) in line] == [
            f"aval: {path}: {told}"
        ]


def test_a_type_of_data_without_a_call_is_still_told_beside_one_that_is_mistyped(aval: Run, tmp_path: Path) -> None:
    path = declared(tmp_path, ('id = "telecom.calls"', 'id = "telecom.calls.made"'))
    done = aval("organisations", "lint", path, *QUIET)
    assert "did you mean telecom.calls.made?" in done.out
    more = ("[format]\n", '[[datasets]]\nid = "telecom.bills"\n\n[format]\n')
    assert "telecom.bills" in aval("organisations", "lint", declared(tmp_path, more), *QUIET).out


def test_what_a_draft_has_left_open_is_refused_by_add_in_the_same_words(aval: Run, tmp_path: Path) -> None:
    path = declared(
        tmp_path,
        ('zone = "Europe/Paris"', 'zone = "TO FILL"'),
        ('legal_entity = "North Telecom SA"', 'legal_entity = "TO FILL"'),
        ('base_url = "https://api.north-telecom.example"', 'base_url = "TO FILL"'),
        (
            'short = { fr = "Combien de temps.", en = "How long it took." }',
            'short = { fr = "TO FILL", en = "TO FILL" }',
        ),
    )
    linted, added = aval("organisations", "lint", path, *QUIET), aval("organisations", "add", path)
    assert linted.code == added.code == 1
    told = {line.removeprefix(f"aval: {path}: ") for line in added.err.splitlines() if str(path) in line}
    assert told == {
        "zone: is still TO FILL; write an IANA name, as in Europe/Paris",
        "legal_entity: is still TO FILL; write it",
        "connection.base_url: is still TO FILL; write it",
        "datasets[0].call.length.short: is still TO FILL (fr, en); write both",
    }
    assert {line.partition(": ")[2] for line in linted.out.splitlines() if ": is still" in line} == told


def test_the_whole_files_of_the_document_have_no_errors_and_no_warnings(aval: Run, tmp_path: Path) -> None:
    text = (ROOT / "gateway/docs/organisations.md").read_text(encoding="utf-8")
    blocks = [each.partition("\n```")[0].partition("\n") for each in text.split("```toml ")[1:]]
    files = {name: body for name, _, body in blocks if 'legal_entity = "' in body}
    assert files.keys() == {"cap-mobile.toml", "axiome.toml"}
    for name, body in files.items():
        (tmp_path / name).write_text(body, encoding="utf-8")
        done = aval("organisations", "lint", "--strict", tmp_path / name)
        assert done.code == 0, done.out

"""A person's accounts and her own copy at an organisation that answers in CSV: her rows as they were written."""

import csv
import io
from datetime import UTC, datetime

import pytest
from csv_documents import FIELDS, ROWS, dataset_of, format_of, row, source_of, table
from format_documents import FOREIGN, MINE, OTHER

from gateway import exports
from gateway.formats import registry
from gateway.formats.model import LIMIT, TooLarge, UnknownShape, Upstream
from gateway.organisations.downloads import _named

PAGED = {"pages": {"by": "page", "parameter": "page"}, "parameters": {"page": {"as": "page"}}}
CARDS = "number:s name:s kind:s state:s"


def with_accounts(**more):
    cards = {"name": "cards", "dataset": ROWS, "path": "/cards", "records": "Card"}
    listed = {"call": "cards", "native": "number", "label": "name", "kind": "kind", "closed": {"state": ["ended"]}}
    rows = {"name": "receipts", "dataset": ROWS, "path": "/receipts", "records": "Row"}
    return format_of(calls=[rows, cards], accounts=listed, types={"Card": CARDS}, **PAGED, **more)


def answers(pages: dict[str, list[bytes]]):
    def fetch(call: Upstream) -> tuple[str, bytes]:
        number = int(dict(call.query).get("page", "1"))
        found = pages[call.path]
        return "text/csv", found[number - 1] if number <= len(found) else found[0].splitlines(keepends=True)[0]

    return fetch


def source(form):
    return source_of(form, dataset_of(FIELDS), None)


def copy(form, *pages: bytes):
    found = exports.download(source(form), answers({"/receipts": list(pages)}), (MINE,))
    assert [each.name for each in found] == ["receipts.csv"]
    return found[0]


def test_the_file_is_what_the_organisation_wrote_with_one_header_line_for_all_pages():
    first = b'card,at,"total",label\r\nnative-4711,"2025-01-05T10:00:00Z",1.00,"a ""b"", c"\r\n\r\n'
    second = b'card,at,"total",label\r\nnative-4711,2025-03-05T10:00:00Z,-2.00, x \r\n'
    found = copy(format_of(**PAGED), first, second)
    assert found.body == (
        b'card,at,"total",label\nnative-4711,"2025-01-05T10:00:00Z",1.00,"a ""b"", c"\n'
        b"native-4711,2025-03-05T10:00:00Z,-2.00, x \n"
    )
    assert (found.media_type, found.records, found.dataset) == ("text/csv", 2, ROWS)
    assert (found.start, found.end) == (
        datetime(2025, 1, 5, 10, tzinfo=UTC),
        datetime(2025, 3, 5, 10, tzinfo=UTC),
    )


def test_columns_that_are_not_declared_are_in_her_copy_and_rows_of_others_are_not():
    form = with_accounts()
    body = table([row() | {"new": "hers"}, row(FOREIGN) | {"new": "not hers"}], ("card", "at", "secret", "new"))
    found = exports.download(
        source(form), answers({"/receipts": [body], "/cards": [b"number,name\nnative-4711,x\n"]}), (MINE,)
    )
    receipts = next(each for each in found if each.name == "receipts.csv").body
    assert b"hers" in receipts and b"secret-never" in receipts and b"not hers" not in receipts
    assert receipts.count(b"\n") == 2


def test_pages_with_other_columns_bring_their_own_header_line():
    found = copy(format_of(**PAGED), b"card,at\nnative-4711,2025-01-05\n", b"at,card\n2025-01-06,native-4711\n")
    assert found.body == b"card,at\nnative-4711,2025-01-05\nat,card\n2025-01-06,native-4711\n"


def test_without_rows_the_file_has_the_declared_columns():
    form = format_of("card:s at:s total:d")
    assert copy(form, b"card,at,total\n").body == b"card,at,total\n"


def test_the_file_keeps_the_organisations_encoding_and_byte_order_mark():
    form = format_of(csv={"encoding": "iso-8859-1"})
    body = table([row(label="Café")]).decode().encode("latin-1")
    found = copy(form, body)
    assert "Café".encode("latin-1") in found.body and found.media_type == "text/csv; charset=iso-8859-1"
    marked = copy(format_of(), b"\xef\xbb\xbf" + table([row()]))
    assert marked.body.startswith(b"\xef\xbb\xbfcard,at")


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1+1", "@SUM(A1)", "-1+1", "\t=1", "\r=1"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_no_spreadsheet_takes_a_cell_of_her_copy_for_a_formula(text, separator):
    form = format_of(csv={"separator": separator})
    body = table([row(), row(label=text, total="-5.00")], delimiter=separator)
    file = _named([copy(form, body)])[0]
    rows = list(csv.DictReader(io.StringIO(file.body.decode(), newline=""), delimiter=separator))
    assert rows[0] == {name: text for name, text in row().items() if name in rows[0]}
    assert rows[1]["label"] == f"'{text}".replace("\r", "") and rows[1]["total"] == "-5.00"
    assert not [line for line in file.body.splitlines() if line.startswith((b"=", b"+", b"@"))]


def test_a_row_that_is_changed_stays_one_row():
    found = copy(format_of(), table([row(label="=1\n2", secret="a\rb"), row()], lineterminator="\r\n"))
    rows = list(csv.DictReader(io.StringIO(_named([found])[0].body.decode(), newline="")))
    assert [each["label"] for each in rows] == ["'=1\n2", "label-canary"] and rows[0]["secret"] == "ab"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_each_row_stays_one_row_whatever_ends_its_lines(end):
    file = _named([copy(format_of(), b"card,at" + end + b"native-4711,2025-01-05" + end + b"native-4711,2025-01-06")])[
        0
    ]
    assert file.body == b"card,at\nnative-4711,2025-01-05\nnative-4711,2025-01-06\n"


def test_a_header_line_that_is_a_formula_is_changed_too():
    found = copy(format_of(), b"card,at,=1+1\nnative-4711,2025-01-05,x\n")
    assert found.body == b"card,at,'=1+1\nnative-4711,2025-01-05,x\n"


@pytest.mark.parametrize(
    "body",
    [b"", b"\n", b'card,at\nnative-4711,"x', b"card,at\na,b,c\n", b"card,at\n\xff\n", b'card,at\nnative-4711,"x" y\n'],
)
def test_what_is_no_table_gives_no_copy(body):
    with pytest.raises(UnknownShape):
        copy(format_of(), body)


def test_a_page_above_the_limit_is_too_large():
    with pytest.raises(TooLarge):
        copy(format_of(), b"card,at\n" + b" " * LIMIT)


# ---- accounts


def test_accounts_are_listed_by_a_call_that_answers_in_csv():
    form = with_accounts()
    pages = [
        b'number,name,kind,state,other\nnative-4711,"Family, card",CARD,open,x\n',
        b"number,name,kind,state,other\nnative-0815,,CARD,ended,x\n",
    ]
    first, second = registry.accounts(source(form), answers({"/cards": pages}))
    assert (first.native, first.label, first.kind, first.available) == (MINE.native, "Family, card", "CARD", True)
    assert (second.native, second.label, second.available) == (OTHER.native, "•••• 0815", False)


@pytest.mark.parametrize("body", [b"number,name\n,x\n", b"name\nx\n", b'number\n"x\n'])
def test_a_list_in_which_an_account_has_no_number_is_refused(body):
    with pytest.raises(UnknownShape):
        registry.accounts(source(with_accounts()), answers({"/cards": [body]}))


def test_an_organisation_without_accounts_has_the_one_of_the_person():
    assert [each.native for each in registry.accounts(source(format_of()), answers({}))] == ["self"]

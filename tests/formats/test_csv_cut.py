"""Tables: what leaves is what was agreed, column by column and row by row, with the text it had."""

import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from csv_documents import (
    ALWAYS,
    COLUMNS,
    FIELDS,
    FREE,
    MINE,
    OTHER,
    ROWS,
    SHAPE,
    TYPE,
    cut,
    dataset_of,
    format_of,
    plan_of,
    read,
    row,
    sent,
    streamed,
    table,
)
from format_documents import FOREIGN, YEAR

from gateway.catalogue.formats import Pages
from gateway.formats import registry
from gateway.formats.drift import Seen
from gateway.formats.model import Account, Asked, Denied, NotThere, UnknownShape, Upstream
from gateway.ground.calendar.instants import Window

FORM = format_of()
CANARIES = {
    "receipt.total": "771.01",
    "receipt.articles": "label-canary",
    "receipt.shop": "Boots, the Chemist",
    "receipt.birth": "1980-02-29",
}
NEVER = ("secret-never", "ticket-canary", MINE.native)


def told() -> tuple[list[tuple[str, ...]], Seen]:
    found: list[tuple[str, ...]] = []
    return found, Seen(lambda places, *_: found.append(places))


def test_the_declaration_of_the_tests_has_no_fault():
    known = dataset_of()
    faults = [each for each in registry.form_faults(FORM, {ROWS: known}) if each[1] != "time: find"]
    assert not faults, faults


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"shape": SHAPE.replace("label:x", "label:x*")}, "shapes.Row"),
        ({"around": {"Row/total": "same"}}, "around"),
        ({"records": {"account": "card", "instant": "at", "at": "rows"}}, "records.Row.at"),
        ({"pages": {"by": "page", "parameter": "page"}, "parameters": {"page": {"as": "page"}}}, ""),
    ],
)
def test_what_a_table_cannot_have_is_a_fault_of_the_declaration(more, key):
    found = {found for _, found, _ in registry.form_faults(format_of(**more), {ROWS: dataset_of()})}
    assert found == {"time: find"} | ({key} if key else set())


def test_a_table_has_no_member_that_leads_to_the_next_page():
    form = replace(format_of(), pages=Pages("cursor", ("next",), "cursor"))
    assert "pages.by" in {key for _, key, _ in registry.form_faults(form, {ROWS: dataset_of()})}


# ---- columns


def removals():
    yield ()
    yield from ((field,) for field in FREE)
    yield from itertools.combinations(FREE, 2)
    yield FREE


@pytest.mark.parametrize("without", list(removals()), ids=" ".join)
def test_every_field_and_every_pair_of_fields_can_be_withheld(without):
    found = cut(plan_of(FORM, without), table([row()]))
    gone = {column for field in without for column in FIELDS[field]}
    assert list(read(found.body)[0]) == [name for name in COLUMNS if name not in gone and name != "secret"]
    text = found.body.decode()
    for field, canary in CANARIES.items():
        assert (canary in text) == (field not in without)
    assert not [never for never in NEVER if never in text]
    assert found.counts.fields_withheld == len(gone) + 1 and found.counts.records == 1
    assert found.media_type == "text/csv; charset=utf-8"


def test_an_empty_cell_is_nothing_that_was_withheld():
    rows = [row(total="", secret=""), row(total="1"), row(secret="")]
    assert cut(plan_of(FORM, ["receipt.total"]), table(rows)).counts.fields_withheld == 3
    for plain in ("card,at,total\n{0},2025,\n{0},2025,1\n", "total,card,at\n,{0},2025\n1,{0},2025\n",
                  "card,total,at\n{0},,2025\n{0},1,2025\n"):  # fmt: skip
        assert cut(plan_of(FORM, ["receipt.total"]), plain.format(MINE.native).encode()).counts.fields_withheld == 1
    foreign = [row(FOREIGN), *rows]
    assert cut(plan_of(FORM, ["receipt.total"]), table(foreign)).counts.fields_withheld == 3


def test_a_column_that_is_not_declared_stays_out_and_is_told_by_its_name():
    places, seen = told()
    rows = [row() | {"Loyalty points": "planted", "06 12 34 56 78": "planted", "": "planted"}]
    body = table(rows, (*COLUMNS, "Loyalty points", "06 12 34 56 78", ""))
    found = cut(plan_of(FORM, seen=seen), body)
    assert b"planted" not in found.body and b"Loyalty" not in found.body and found.counts.records == 1
    assert places == [("Loyalty points", "…")]


def test_strict_refuses_a_column_that_is_not_declared_and_does_not_repeat_its_name():
    body = table([row() | {"Alice Martin": "planted"}], (*COLUMNS, "Alice Martin"))
    with pytest.raises(UnknownShape) as refused:
        cut(plan_of(FORM), body)
    assert "Alice" not in refused.value.where


def test_declared_columns_may_be_missing_but_not_those_that_judge():
    found = cut(plan_of(FORM), table([row()], ("at", "card", "total")))
    assert read(found.body) == [{"at": row()["at"], "card": MINE.ref, "total": "771.01"}]
    for missing in ("card", "at"):
        with pytest.raises(UnknownShape) as refused:
            cut(plan_of(FORM), table([row()], [name for name in COLUMNS if name != missing]))
        assert refused.value.where == missing


def test_a_forbidden_column_refuses_the_answer():
    with pytest.raises(UnknownShape) as refused:
        cut(plan_of(FORM), table([row(forbidden="x")], (*COLUMNS, "forbidden")))
    assert refused.value.where == "forbidden"


def test_nothing_leaves_where_none_of_the_columns_given_is_there():
    known = dataset_of({"receipt.a": ("total",), "receipt.b": ("label",)}, ())
    form = format_of(records={"one": False})
    found = cut(plan_of(form, ["receipt.a"], known=known), table([row()], ("total",)))
    assert found.body == b"" and found.counts.records == 0 and found.counts.records_withheld == 1


# ---- what is required, and what depends on another column


def test_a_required_column_stays_with_its_neutral_value():
    form = format_of(required={"Row/total": {"instead": "0,00"}, "Row/articles": {"instead": 0}})
    found = cut(plan_of(form, ["receipt.total", "receipt.articles"]), table([row(), row(total="")]))
    assert [(each["total"], each["articles"]) for each in read(found.body)] == [("0,00", "0")] * 2
    assert b"771" not in found.body and found.counts.fields_withheld == 7


def test_a_record_that_needs_what_is_withheld_is_dropped_or_refused():
    dropped = plan_of(format_of(required={"Row/total": "drop_record"}), ["receipt.total"])
    found = cut(dropped, table([row()]))
    assert read(found.body) == [] and found.counts.records_withheld == 1
    refused = plan_of(format_of(required={"Row/total": "refuse"}), ["receipt.total"])
    assert isinstance(refused.request(Asked("GET", "/receipts"), ALWAYS), Denied)


def test_a_cell_given_only_beside_some_values_of_another():
    form = format_of(only={"Row/label": {"member": "articles", "is": ["3"]}})
    rows = [row(), row(articles="4"), row(articles="4", label="")]
    found = cut(plan_of(form), table(rows))
    assert [each["label"] for each in read(found.body)] == ["label-canary", "", ""]
    assert found.counts.fields_withheld == 4
    known = dataset_of(FIELDS | {"receipt.articles": ("articles",), "receipt.label": ("label",)})
    assert b"label-canary" not in cut(plan_of(form, ["receipt.articles"], known=known), table(rows)).body


def test_no_more_records_than_agreed():
    found = cut(plan_of(FORM, most=2), table([row(FOREIGN), *[row()] * 5]))
    assert (found.counts.records, found.counts.records_withheld) == (2, 4)


def test_one_record_is_given_or_not_there():
    one = format_of(records={"account": "card", "instant": "at", "one": True})
    assert len(read(cut(plan_of(one), table([row()])).body)) == 1
    with pytest.raises(NotThere):
        cut(plan_of(one), table([row(FOREIGN)]))
    with pytest.raises(UnknownShape):
        cut(plan_of(one), table([row(), row()]))


# ---- accounts


def test_a_record_of_another_account_is_withheld():
    rows = [row(FOREIGN), row(), row(OTHER.native), row(f" {MINE.native} ")]
    found = cut(plan_of(FORM), table(rows))
    assert [each["card"] for each in read(found.body)] == [MINE.ref] * 2
    assert (found.counts.records, found.counts.records_withheld) == (2, 2)


def test_a_call_for_one_account_gives_only_that_one():
    of = plan_of(FORM, accounts=(MINE, OTHER))
    found = cut(of, table([row(), row(OTHER.native)]), path=f"/cards/{MINE.ref}/receipts")
    assert [each["card"] for each in read(found.body)] == [MINE.ref]
    assert len(read(cut(of, table([row(), row(OTHER.native)])).body)) == 2


def test_a_row_without_its_account_refuses_the_answer():
    with pytest.raises(UnknownShape) as refused:
        cut(plan_of(FORM), table([row(), row(card="")]))
    assert refused.value.where == "[1].card"
    assert cut(plan_of(FORM), table([row(), row(card="", at="2020-01-01")]), YEAR).counts.records == 1


def test_rows_that_name_no_account_are_of_the_account_of_the_call_or_of_the_only_one():
    form = format_of("at:s total:d card:-", records={"instant": "at"})
    known = dataset_of({"receipt.when": ("at",), "receipt.total": ("total",)})
    body = table([row()], ("at", "total"))
    assert cut(plan_of(form, known=known), body).counts.records == 1
    several = plan_of(form, known=known, accounts=(MINE, OTHER))
    assert cut(several, body, path=f"/cards/{MINE.ref}/receipts").counts.records == 1
    for of in (several, plan_of(form, known=known, others=(OTHER.native,))):
        with pytest.raises(UnknownShape) as refused:
            cut(of, body)
        assert refused.value.where == "account"


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize(
    "spelling",
    ["4711 0815 4242", "4711-0815-4242", "to 471108154242.", "4711\\u002008154242", "47110815&nbsp;4242",
     "4711\\08154242", "４７１１08154242"],
)  # fmt: skip
def test_the_number_of_an_account_stands_in_no_cell_in_no_spelling(spelling, quoted):
    mine = Account("471108154242", MINE.ref)
    rows = [row(mine.native), row(mine.native, label=spelling), row(mine.native, label='"' if quoted else "x")]
    found = cut(plan_of(FORM, accounts=(mine,)), table(rows))
    labels = [each["label"] for each in read(found.body)]
    assert labels[0] == "label-canary" and MINE.ref in labels[1] and labels[2] == rows[2]["label"]
    assert b"4242" not in found.body


@pytest.mark.parametrize("between", ["\n", "\r\n", '"', ",", ' "" ', "\\"])
def test_no_mark_inside_a_cell_hides_the_number(between):
    mine = Account("471108154242", MINE.ref)
    for at in range(1, 12):
        spelling = mine.native[:at] + between + mine.native[at:]
        rows = [row(mine.native), row(mine.native, label=spelling), row(mine.native, label="a\nb")]
        found = read(cut(plan_of(FORM, accounts=(mine,)), table(rows)).body)
        assert [each["label"] for each in found] == ["label-canary", MINE.ref, "a\nb"]


def test_the_number_of_an_account_not_granted_stands_in_no_cell():
    other = "081547114242"
    rows = [row(label=f"from {other[:4]} {other[4:]}"), row(label="from me")]
    found = read(cut(plan_of(FORM, others=(other,)), table(rows)).body)
    assert [each["label"] for each in found] == ["from withheld", "from me"]


def test_amounts_with_decimals_and_moments_stay_though_their_digits_are_those_of_an_account():
    mine = Account("20250615", MINE.ref)
    rows = [row(mine.native, total="20250615.00", articles="20250615", label="2025-06-15")]
    found = read(cut(plan_of(FORM, accounts=(mine,)), table(rows)).body)[0]
    assert (found["total"], found["articles"], found["label"]) == ("20250615.00", MINE.ref, "2025-06-15")
    words = read(cut(plan_of(FORM, accounts=(mine,)), table([row(mine.native, articles="2025 0615")])).body)[0]
    assert words["articles"] == MINE.ref


def test_the_numbers_of_accounts_stay_where_the_person_grants_them():
    form = format_of(numbers=["Row/label"])
    other = "081547114242"
    found = read(cut(plan_of(form, others=(other,)), table([row(label=f"{MINE.native} {other}")])).body)
    assert found[0]["label"] == f"{MINE.native} withheld"


def test_identifiers_are_the_apps_own_and_the_same_each_time():
    of = plan_of(FORM)
    first, second, third = (each["ticket"] for each in read(cut(of, table([row(), row(), row(ticket="")])).body))
    assert first == second != "ticket-canary" and third == ""


# ---- the period


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        ("2025-01-01T00:00:00Z", True),
        ("2024-12-31T23:59:59Z", False),
        ("2025-01-01T01:00:00+01:00", True),
        ("2025-12-31T23:59:59Z", True),
        ("2026-01-01T00:00:00Z", False),
        ("2025-01-01T01:00:00", True),
        ("2025-01-01T00:59:59", False),
        ("2025-01-01", False),  # the local day begins before the window does
        ("2025-01-02", True),
        ("2025-12-31", True),
        ("2026-01-01", False),
        ("2025-01-01 01:00:00", True),
        ("", False),
    ],
)
def test_the_period_is_half_open_to_the_second(at, inside):
    for body in (table([row(at=at)]), table([row(at=at)], quoting=1)):
        found = cut(plan_of(FORM), body, YEAR)
        assert (found.counts.records, found.counts.records_withheld) == (int(inside), int(not inside))
        assert len(read(found.body)) == int(inside)


@pytest.mark.parametrize(
    ("at", "start", "end", "inside"),
    [
        ("30/03/2025", (2025, 3, 29, 23), (2025, 3, 30, 22), True),  # a day of 23 hours in Paris
        ("30/03/2025", (2025, 3, 29, 23), (2025, 3, 30, 21, 59, 59), False),
        ("26/10/2025", (2025, 10, 25, 22), (2025, 10, 26, 23), True),  # one of 25
        ("26/10/2025", (2025, 10, 25, 22), (2025, 10, 26, 22, 59, 59), False),
        ("26/10/2025", (2025, 10, 25, 22, 0, 1), (2025, 10, 26, 23), False),
        ("29/02/2024", (2024, 2, 28, 23), (2024, 2, 29, 23), True),
        ("29/02/2024", (2024, 2, 28, 23, 0, 1), (2024, 3, 1), False),
    ],
)
def test_days_are_whole_local_days_when_clocks_change_and_in_leap_years(at, start, end, inside):
    form = format_of(records={"account": "card", "instant": "at", "written": "dd/mm/yyyy"})
    window = Window(datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC))
    assert cut(plan_of(form), table([row(at=at)]), window).counts.records == int(inside)


@pytest.mark.parametrize("at", ["29/02/2025", "yesterday", "31/06/2025", "2025-06-15"])
def test_a_time_that_is_none_refuses_the_answer_and_is_not_repeated(at):
    form = format_of(records={"account": "card", "instant": "at", "written": "dd/mm/yyyy"})
    with pytest.raises(UnknownShape) as refused:
        cut(plan_of(form), table([row(at="15/06/2025"), row(at=at)]))
    assert refused.value.where == "[1].at"


@pytest.mark.parametrize("word", ["i", "n", "b"])
@pytest.mark.parametrize("rows", [1, 3000])
def test_a_text_in_a_column_of_numbers_or_truths_refuses_the_answer(word, rows):
    form = format_of(SHAPE.replace("articles:i", f"articles:{word}"))
    right = {"i": "1 204", "n": "-1 204,5e3", "b": "FALSE"}[word]
    many = [row(articles=right), row(articles=""), row(articles=" ")] * rows
    assert cut(plan_of(form), table(many)).counts.records == len(many)
    withheld = row(FOREIGN, articles="planted")
    assert cut(plan_of(form), table([*many, withheld])).counts.records == len(many)
    with pytest.raises(UnknownShape) as refused:
        cut(plan_of(form), table([*many, withheld, row(articles="3 planted 4"), *many]))
    assert refused.value.where == f"[{len(many) + 1}].articles"
    assert cut(plan_of(form, ["receipt.articles"]), table([row(articles="planted")])).counts.records == 1


def test_counts_tell_the_reach_of_the_rows_given():
    rows = [row(at="2025-03-01T00:00:00Z"), row(FOREIGN, at="2025-01-01T00:00:00Z"), row(at="2025-02-01T00:00:00Z")]
    counts = cut(plan_of(FORM), table(rows), YEAR).counts
    assert (counts.start, counts.end) == (datetime(2025, 2, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC))


# ---- what organisations write

MIDATA = format_of(
    'Date:s Type:s "Merchant/Description":x "Debit/Credit":d Balance:d',
    records={"instant": "Date", "written": "dd/mm/yyyy"},
    required={"Row/Balance": {"instead": ""}},
)
MIDATA_FIELDS = dataset_of(
    {"row.date": ("Date",), "row.type": ("Type",), "row.words": ("Merchant/Description",),
     "row.amount": ("Debit/Credit",), "row.balance": ("Balance",)}, ("row.date",)
)  # fmt: skip
PLAIN = b"""Date,Type,Merchant/Description,Debit/Credit,Balance
04/03/2014,VIS,Boots the Chemist,5.00,260.00
04/03/2014,DD,Fitness First,-50.00,255.00
Arranged overdraft limit,04/03/2014,1000.00
"""
WILD = {
    "as it is specified": PLAIN,
    "CRLF": PLAIN.replace(b"\n", b"\r\n"),
    "CR": PLAIN.replace(b"\n", b"\r"),
    "no line end at the end": PLAIN.rstrip(),
    "a blank before the header line": b" " + PLAIN,
    "blanks around names": PLAIN.replace(b"Type,", b" Type ,"),
    "blank lines": PLAIN.replace(b"Balance\n", b"Balance\n\n").replace(b"Arranged", b"  \n\nArranged") + b"\n\n",
    "blank lines first": b"\n\r\n" + PLAIN,
    "byte order mark": b"\xef\xbb\xbf" + PLAIN,
    "every cell quoted": re.sub(rb"[^,\n]+", lambda cell: b'"%b"' % cell[0], PLAIN),
    "the last column left out where it is empty": PLAIN.replace(b",255.00", b"") + b"05/03/2014,DD,x,1\n",
    "all of it": b"\xef\xbb\xbf "
    + re.sub(rb"[^,\n]+", lambda cell: b'"%b"' % cell[0], PLAIN).replace(b"\n", b"\r\n\r\n"),
}


@pytest.mark.parametrize("wild", WILD)
def test_what_is_in_the_wild_is_read_and_one_form_is_written(wild):
    of = plan_of(MIDATA, ["row.balance"], known=MIDATA_FIELDS)
    found = cut(of, WILD[wild])
    if wild == "byte order mark" or wild == "all of it":
        assert not found.body.startswith(b"\xef")
    expected = (
        b"Date,Type,Merchant/Description,Debit/Credit,Balance\r\n04/03/2014,VIS,Boots the Chemist,5.00,\r\n"
        b"04/03/2014,DD,Fitness First,-50.00,\r\n"
    )
    assert found.body.startswith(expected) and b"overdraft" not in found.body and b"1000.00" not in found.body
    assert found.counts.records_withheld == 1
    for size in (1, 2, 3, 64):
        assert streamed(of, WILD[wild], size=size) == found.body


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_any_declared_separator_is_read_and_written(separator):
    form = format_of(csv={"separator": separator})
    texts = ["a,b;c\td|e", 'say "x"', "two\nlines", " kept ", "=1+1", "été €"]
    body = table([row(label=text) for text in texts], delimiter=separator)
    found = cut(plan_of(form), body)
    assert [each["label"] for each in read(found.body, separator)] == texts
    lines = found.body.split(b"\r\n")
    assert lines[-1] == b"" and lines[0].split(separator.encode())[0] == b"card"
    plain = cut(plan_of(form), table([row(label="plain")], delimiter=separator)).body
    assert (b'"' in plain) == (separator == ",")  # "Boots, the Chemist"


@pytest.mark.parametrize(("encoding", "codec"), [("iso-8859-1", "latin-1"), ("windows-1252", "cp1252")])
def test_other_encodings_are_read_and_utf_8_is_written(encoding, codec):
    form = format_of(csv={"encoding": encoding})
    body = table([row(label="Café Noël")]).decode().encode(codec)
    found = cut(plan_of(form), body, media_type=f"text/csv; charset={encoding}; header=present")
    assert read(found.body)[0]["label"] == "Café Noël"
    with pytest.raises(UnknownShape):
        cut(plan_of(form), body, media_type="text/csv; charset=utf-8")
    with pytest.raises(UnknownShape) as refused:
        cut(plan_of(FORM), body)
    assert refused.value.where == "encoding"
    with pytest.raises(UnknownShape):
        cut(plan_of(FORM), body, media_type=f"text/csv; charset={encoding}")


def test_bytes_that_windows_1252_does_not_have_are_refused():
    with pytest.raises(UnknownShape):
        cut(plan_of(format_of(csv={"encoding": "windows-1252"})), table([row()]) + b"\x81")


def test_a_single_empty_cell_is_not_a_blank_line():
    known = dataset_of({"receipt.a": ("label",), "receipt.b": ("total",)}, ())
    form = format_of(records={"one": False})
    of = plan_of(form, ["receipt.b"], known=known)
    for rows in ([row(label=""), row()], [row(label=""), row(label='"')]):
        found = cut(of, table(rows, ("label", "total")))
        assert [each["label"] for each in read(found.body)] == [each["label"] for each in rows]
        assert found.counts.records == 2
    assert cut(of, b'label\n""\n\nx\n').body == b'label\r\n""\r\nx\r\n'


# ---- what is no table


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "header"),
        (b"\n\n", "header"),
        (b"\xef\xbb\xbf", "header"),
        (b"<html><body>Sign in</body></html>", "header"),
        (b'{"card": 1}', "header"),
        (b"card,at,card\n", "card"),
        (b"card,at,x y,x y\n", "header"),
        (b'card,"at\n', "header"),
        (b'card,"at" x\n', "header"),
        (b"card,at\nnative-4711,2025-06-15,planted\n", "[0]"),
        (b"card,at\nnative-4711,2025-06-15\nnative-4711,2025-06-15,\n", "[1]"),
        (b'card,at\nnative-4711,"2025-06-15\n', "[0]"),
        (b'card,at\nnative-4711,"2025-06-15" x\n', "[0]"),
        (b"card,at\nnative-4711,2025-06-15\0\n", "encoding"),
        (b"card,at\nnative-4711,\xff\n", "encoding"),
        (b"card,at\nnative-4711,\xe2\x82", "encoding"),
        ("card,at\n".encode("utf-16"), "encoding"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "encoding"),
        (b"card,at," + b"x," * 5000 + b"\n", "header"),
        (b"card,at," + b"x" * (1 << 20) + b"\n", "header"),
        (b"card,at\n" + b"x" * ((1 << 20) + 1), "[0]"),
        (b"card,at\n" + b"x" * ((1 << 20) + 1) + b"\n", "[0]"),
        (b'card,at\n"' + b"x" * ((1 << 20) + 1) + b'"\n', "[0]"),
        (b'card,at\n"' + b"x\n" * (1 << 20), "[0]"),
    ],
)
def test_what_is_no_table_is_refused_whole_and_as_a_stream(body, where):
    _, seen = told()
    of = plan_of(FORM, seen=seen)
    with pytest.raises(UnknownShape) as refused:
        cut(of, body)
    assert refused.value.where == where or len(body) > 1 << 20 and refused.value.where in ("header", "[0]")
    assert "planted" not in refused.value.where
    for size in (1, 1000) if len(body) < 1000 else (4096,):
        with pytest.raises(UnknownShape):
            streamed(of, body, size=size)


def test_a_header_line_alone_is_a_table_without_rows():
    found = cut(plan_of(FORM), table([]))
    assert found.counts.records == found.counts.records_withheld == 0
    assert found.body == b"card,at,total,articles,label,Merchant/Description,Date of birth,ticket\r\n"
    assert cut(plan_of(FORM), table([]).strip()).body == found.body


def test_a_cell_just_as_long_as_is_allowed_leaves():
    text = "x" * ((1 << 20) - 200)
    for quoting in (0, 1):
        found = cut(plan_of(FORM), table([row(label=text)], quoting=quoting))
        assert read(found.body)[0]["label"] == text


def test_another_media_type_is_refused():
    for other in ("text/html", "application/json", "", "text/csv; charset=utf-16"):
        with pytest.raises(UnknownShape):
            cut(plan_of(FORM), table([row()]), media_type=other)
    assert cut(plan_of(FORM), table([row()]), media_type="text/csv; charset=UTF-8").counts.records == 1


# ---- following pages


def test_pages_follow_by_a_link_in_the_header_or_by_number():
    by_link = plan_of(format_of(pages={"by": "link-header"}))
    call = sent(by_link)
    link = '<https://org.example/receipts?page=2>; rel="next"'
    found = by_link.cut(call, TYPE, table([row()]), ALWAYS, link)
    assert found.following.startswith("https://gw.example/data/shop-org/receipts?page_token=")
    token = found.following.partition("page_token=")[2]
    again = by_link.request(Asked("GET", "/receipts", (("page_token", token),)), ALWAYS)
    assert isinstance(again, Upstream) and again.continues and dict(again.query) == {"page": "2"}
    assert by_link.cut(call, TYPE, table([row()]), ALWAYS).following == ""
    elsewhere = by_link.cut(call, TYPE, table([row()]), ALWAYS, '<https://evil.example/x>; rel="next"')
    assert (elsewhere.following, elsewhere.notice) == ("", "next-page-unusable")


def test_pages_by_number_go_on_while_there_are_rows_whoever_they_are_of():
    form = format_of(pages={"by": "page", "parameter": "page"}, parameters={"page": {"as": "page"}})
    of = plan_of(form)
    assert cut(of, table([row(FOREIGN)])).following and not cut(of, table([])).following


def test_a_call_with_one_page_has_no_other():
    form = format_of(pages={"by": "page", "parameter": "page"}, parameters={"page": {"as": "page"}})
    calls = {name: replace(call, pages=name != "receipts") for name, call in form.calls.items()}
    of = plan_of(replace(form, calls=calls))
    assert not cut(of, table([row()])).following
    assert cut(of, table([row()]), path=f"/cards/{MINE.ref}/receipts").following


# ---- rows with fewer cells


@pytest.mark.parametrize("mark", ["", '"'])
def test_short_rows_in_a_row_are_rows_of_their_own(mark):
    head, short = "at,card,label\n", f"2025-06-15\n{mark}planted{mark}\n"
    full = f"2025-06-15,{MINE.native},{mark}a{mark}\n"
    found = cut(plan_of(FORM), (head + full + short + full).encode())
    assert [each["label"] for each in read(found.body)] == ["a", "a"]
    assert (found.counts.records, found.counts.records_withheld) == (2, 2)


def test_a_short_row_has_empty_cells_where_others_have_some():
    found = cut(plan_of(FORM), f"at,card,label,total\n2025-06-15,{MINE.native}\n".encode())
    assert read(found.body) == [{"at": "2025-06-15", "card": MINE.ref, "label": "", "total": ""}]
    without_time = f"card,label,at\n{MINE.native},planted\n{MINE.native},a,2025-06-15\n"
    assert [each["label"] for each in read(cut(plan_of(FORM), without_time.encode()).body)] == ["a"]

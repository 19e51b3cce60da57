"""A table as a stream: the same as whole, byte for byte, wherever pieces end; and no more memory for a longer one."""

import csv
import io
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from csv_documents import MINE, TYPE, cut, format_of, plan_of, read, row, sent, streamed, table
from format_documents import FOREIGN, YEAR

from gateway.formats.csv_reading import RECORD, TableReader
from gateway.formats.drift import Seen
from gateway.formats.model import Account, UnknownShape
from tests.torture import TORTURE

FORM = format_of()
QUOTED = (
    b"card,at,label,total\r\n"
    b'native-4711,2025-06-15,"two\r\nlines, ""quoted""",1\r\n\r\n'
    b'native-6666,2025-06-15,"foreign\n",2\r'
    b"native-4711,2025-06-15,plain,3\n"
    b'"native-4711","2025-06-15","\xe2\x82\xac",""\r\n'
    b"native-4711,2025-06-15"
)


def pieces(of, parts) -> bytes:
    cutter = of.cutter(sent(of), TYPE, YEAR)
    return b"".join([*[cutter.feed(part) for part in parts], cutter.close()])


def test_the_same_leaves_wherever_a_piece_ends():
    of = plan_of(FORM)
    whole = cut(of, QUOTED, YEAR)
    assert [each["label"] for each in read(whole.body)] == ['two\r\nlines, "quoted"', "plain", "€", ""]
    for at in range(len(QUOTED) + 1):
        assert pieces(of, [QUOTED[:at], QUOTED[at:]]) == whole.body
        assert pieces(of, [QUOTED[:at], b"", QUOTED[at : at + 1], QUOTED[at + 1 :]]) == whole.body


def long_table(seed: int, quoted: float) -> tuple[list[dict[str, str]], bytes]:
    """Some blocks of rows, with quotes in some places and none in others."""
    chance = random.Random(seed)
    rows = []
    for number in range(3000):
        text = chance.choice(["x" * chance.randrange(200), "été", "to native-4711", "=1+1", ""])
        if chance.random() < quoted:
            text = chance.choice(['say "', "a,b", "two\nlines", "two\r\nlines", "\r", 'native"-47\n11'])
        if number == 1500:
            text = '"' * 150_000 + ",\n" * 100_000
        at = f"2025-{chance.randint(1, 12):02}-{chance.randint(2, 28):02}"
        rows.append(row(chance.choice([MINE.native, FOREIGN]), chance.choice([at, "2024-01-01", ""]), label=text))
    body = table(rows, ("label", "at", "card", "secret"), lineterminator="\r\n")  # with which the writer quotes both
    return rows, body if seed % 2 else body.replace(b"secret-never\r\n", b"secret-never\n")


@pytest.mark.parametrize("quoted", [0.0, 0.001, 0.3])
def test_long_tables_are_the_same_in_pieces_of_any_size(quoted):
    rows, body = long_table(8, quoted)
    of = plan_of(FORM)
    whole = cut(of, body, YEAR)
    mine = [each for each in rows if each["card"] == MINE.native and each["at"].startswith("2025")]
    shown = [each["label"].replace("native-4711", MINE.ref) for each in mine]
    shown = [MINE.ref if text == 'native"-47\n11' else text for text in shown]
    assert [each["label"] for each in read(whole.body)] == shown
    assert whole.counts.records == len(mine) and whole.counts.records_withheld == len(rows) - len(mine)
    for size in (997, 65_536, 131_072, 131_073, len(body)):
        assert streamed(of, body, YEAR, size) == whole.body


def test_what_is_counted_is_never_less_than_what_was_sent():
    _, body = long_table(3, 0.01)
    of = plan_of(FORM)
    cutter = of.cutter(sent(of), TYPE, YEAR)
    out = b""
    for at in range(0, len(body), 4096):
        out += cutter.feed(body[at : at + 4096])
        given = len(read(out)) if out else 0
        assert cutter.counts().records == given
    with pytest.raises(UnknownShape):
        cutter.feed(b"a,b,c,d,e,f\n" * 100_000)
    assert cutter.counts().records >= len(read(out)) > 200


def test_no_more_records_than_agreed_over_all_blocks():
    rows, body = long_table(5, 0.0)
    of = plan_of(FORM, most=300)
    assert len(read(streamed(of, body, YEAR, 50_000))) == 300
    assert cut(of, body, YEAR).counts.records == 300


def test_a_number_in_one_row_of_a_long_table_is_found():
    mine = Account("471108154242", MINE.ref)
    rows = [row(mine.native, label=f"row {number:x}g") for number in range(5000)]
    rows[4321]["label"] = "4711 0815 4242"
    body = table(rows, ("card", "at", "label"))
    found = cut(plan_of(FORM, accounts=(mine,)), body)
    assert b"0815" not in found.body
    assert [each["label"] for each in read(found.body)] == [
        MINE.ref if number == 4321 else f"row {number:x}g" for number in range(5000)
    ]


def test_quotes_that_never_close_are_refused_at_the_limit_of_a_row():
    of = plan_of(FORM)
    cutter = of.cutter(sent(of), TYPE, YEAR)
    cutter.feed(b'card,at,label\nnative-4711,2025-06-15,"')
    with pytest.raises(UnknownShape):
        for _ in range(RECORD // 1000 + 300):
            cutter.feed(b'""' * 500)


def test_what_is_no_table_is_refused_as_soon_as_it_has_come():
    of = plan_of(FORM)
    body = b'card,at,label\nnative-4711,2025-06-15,"a" b\n' + b"native-4711,2025-06-15,c\n" * 5000
    with pytest.raises(UnknownShape):
        of.cutter(sent(of), TYPE, YEAR).feed(body)


def test_small_pieces_of_a_long_cell_are_not_read_again_and_again(monkeypatch):
    looked = []
    blocks = TableReader._blocks

    def counting(self, text, *, last):
        before = self._size
        yield from blocks(self, text, last=last)
        if self._size <= before:
            looked.append(self._size)

    monkeypatch.setattr(TableReader, "_blocks", counting)
    text = "x\n" * 400_000
    body = table([row(label=text)])
    assert read(streamed(plan_of(FORM), body, YEAR, 100))[0]["label"] == text
    assert len(looked) < 20


def test_short_rows_below_a_header_line_of_many_columns_take_little_room():
    """Filled up to the width of the header line, they would be 300 million cells."""
    columns = ",".join(f"x{number}" for number in range(4000))
    body = f"at,card,{columns}\n".encode() + b"2025-06-15,native-4711\n2025-06-15\n" * 10 + b"2024-01-01\n" * 100_000
    of = plan_of(FORM, seen=Seen(lambda *_: None))
    tracemalloc.start()
    try:
        found = cut(of, body, YEAR)
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()
    assert (found.counts.records, found.counts.records_withheld) == (10, 100_010)


MEMORY = """
import resource, sys
sys.path[:0] = sys.argv[2:]
from csv_documents import MINE, TYPE, format_of, plan_of, sent, row, table
from format_documents import YEAR

of = plan_of(format_of())
rows = [row(at=f"2025-{month:02}-{day:02}") for month in range(1, 13) for day in range(1, 29)]
head, _, some = table(rows).partition(b"\\r\\n")
plain = some.replace(b'"', b"").replace(b"Boots, the", b"Boots the")
cutter = of.cutter(sent(of, window=YEAR), TYPE, YEAR)
size = len(cutter.feed(head + b"\\r\\n"))
for number in range(int(sys.argv[1]) * 1_000_000 // len(some)):
    size += len(cutter.feed(plain if number % 20 else some))
size += len(cutter.close())
assert cutter.counts().records > 0 and size > 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_a_long_table_takes_no_more_memory_than_one_of_10_megabytes():
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    took = [
        int(subprocess.run([sys.executable, "-c", MEMORY, size, *folders], capture_output=True, check=True).stdout)
        for size in ("10", "200" if TORTURE else "50")
    ]
    assert took[1] < took[0] + 8, took  # MB


def test_the_cells_of_a_stream_are_those_of_the_csv_module():
    _, body = long_table(11, 0.2)
    rows = list(csv.reader(io.StringIO(body.decode(), newline="")))
    reader = TableReader("utf-8", ",")
    found = []
    for at in range(0, len(body), 10_000):
        for block in [*reader.blocks(body[at : at + 10_000])]:
            found += zip(*[block.column(number) for number in range(4)], strict=True) if block.count else []
    for block in reader.blocks(b"", last=True):
        found += zip(*[block.column(number) for number in range(4)], strict=True) if block.count else []
    assert [reader.head, *map(list, found)] == rows

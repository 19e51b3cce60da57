"""XML that is meant to break a reader, or to carry out what was not agreed: refused, or cut as any other."""

import itertools
from dataclasses import replace

import pytest
from xml_documents import ALWAYS, CALLS, FIELDS, FOREIGN, MINE, OTHER, dataset_of, form_of, plan_of, sent_of, streamed

from gateway.formats.drift import Seen
from gateway.formats.model import DEPTH, LIMIT, TooLarge, UnknownShape

FORM, DATASET = form_of(CALLS), dataset_of("calls", FIELDS, ("when",), "Call/when")
WHEN = "2025-06-15T10:00:00Z"


def call(inside: str = "", attributes: str = "", line: str = MINE.native) -> str:
    return f"<Call{attributes}><when>{WHEN}</when><line>{line}</line>{inside}</Call>"


def document(*calls: str, attributes: str = ' xmlns="urn:calls" xmlns:ext="urn:more"', before: str = "") -> bytes:
    return f"{before}<Calls{attributes}>{''.join(calls)}</Calls>".encode()


def cut(body: bytes, without=(), seen=None, size=0, **how):
    plan = plan_of(FORM, DATASET, without, seen=seen, **how)
    sent = sent_of(plan, "/calls")
    if size:
        return streamed(plan, sent, body, size)[0].decode()
    return plan.cut(sent, "application/xml", body, ALWAYS).body.decode()


def told() -> tuple[Seen, list[str]]:
    places: list[str] = []
    return Seen(lambda found, _count, _at: places.extend(found)), places


ENTITIES = "".join(f'<!ENTITY {b} "{f"&{a};" * 9}">' for a, b in itertools.pairwise("abcdefgh"))
LAUGHS = f'<!DOCTYPE Calls [<!ENTITY a "ha">{ENTITIES}]>'
BLOW_UP = f'<!DOCTYPE Calls [<!ENTITY h "{"x" * 50_000}">]>'


@pytest.mark.parametrize(
    "body",
    [
        document(call(), before="<!DOCTYPE Calls>"),
        document(call("<note>&h;</note>"), before=LAUGHS),
        document(call(f"<note>{'&h;' * 50_000}</note>"), before=BLOW_UP),
        document(call("<note>&x;</note>"), before='<!DOCTYPE Calls [<!ENTITY x SYSTEM "file:///etc/hostname">]>'),
        document(call(), before='<!DOCTYPE Calls SYSTEM "https://evil.example/x.dtd">'),
        document(call("<note>&x;</note>")),
        document(call(), attributes=' xmlns="urn:calls" xml:base="https://evil.example/"'),
        document(call(attributes=' xml:base="https://evil.example/"')),
        document(call('<partner xml:base="x">1</partner>')),
        document(call(), attributes=' xmlns="urn:other"'),
        b"<Answer xmlns='urn:calls'>" + call().encode() + b"</Answer>",
        document(call("<partner><b>1</b></partner>")),
        document(call("<length>five</length>")),
        document(call("<when>2025-06-15T11:00:00Z</when>")),
        document(call(f"<line>{FOREIGN}</line>")),
        document(call("<partner>1</partner><partner>2</partner>")),
        document(call("text")),
        document("text", call()),
        document("<Call><when>yesterday</when><line>1</line></Call>"),
        document(f"<Call><when>{WHEN}</when></Call>"),
        document(f"<Call><when>{WHEN}</when><line/></Call>"),
        document(f"<Call><when>{WHEN}</when><line><b>{MINE.native}</b></line></Call>"),
        document(call(), before='<?xml version="1.1"?>'),
        document(call(), before='<?xml version="1.0" encoding="iso-8859-1"?>'),
        document(call()) + b"<more/>",
        document(call()) + document(call()),
        document(call())[:-1],
        document(call("<note>\x01</note>")),
        document(call("<note>\ufffe</note>")),
        document(call("<note>]]></note>")),
        document(call('<partner a="1" a="2"/>')),
        document(call("<other:note>x</other:note>")),
        document(call("<note>é</note>")).replace("é".encode(), b"\xe9"),
        document(call("<note>é</note>")).decode().encode("utf-16"),
        document(call()).replace(b"<Call>", b"<Call>\xed\xa0\x80"),
        b"",
        b"\x1f\x8b\x08not xml",
    ],
)
def test_refused_whole_and_in_pieces(body):
    seen, _ = told()
    # the fault in the first record, and behind enough others that these are read as bytes
    behind = body.replace(b"<Call>", call().encode() * 3 + b"<Call>", 1) if body.count(b"<Call>") == 1 else body
    for each in (body, behind):
        with pytest.raises(UnknownShape):
            cut(each, seen=seen)
        with pytest.raises(UnknownShape):
            cut(each, seen=seen, size=50)


def test_the_fault_tells_where_and_never_what():
    with pytest.raises(UnknownShape) as refused:
        cut(document(call(), call("<length>SECRET</length>")))
    assert refused.value.where == "Calls.Call[1].length"
    with pytest.raises(UnknownShape) as refused:
        cut(document(call(), call("<S12345ECRET>SECRET</S12345ECRET>")))
    assert "SECRET" not in refused.value.where


def test_what_is_not_declared_is_withheld_and_told_or_refused():
    body = document(
        call("<colour>UNHEARD</colour>", ' ext:shade="UNHEARD" odd="UNHEARD"'),
        call('<cost currency="EUR" vat="UNHEARD">1.00</cost><note lang="UNHEARD">n</note>'),
        '<total xmlns="urn:elsewhere">UNHEARD</total>',
        "<Footer>UNHEARD</Footer>",
    )
    seen, places = told()
    text = cut(body, seen=seen)
    assert "UNHEARD" not in text and text.count("<Call>") == 2 and '<cost currency="EUR">1.00</cost>' in text
    assert set(places) == {
        "Calls.Call.colour", "Calls.Call.@ext:shade", "Calls.Call.@odd", "Calls.Call.cost.@vat",
        "Calls.Call.note.@lang", "Calls.…:total", "Calls.Footer",
    }  # fmt: skip
    with pytest.raises(UnknownShape):
        cut(body)


def test_names_that_could_be_data_are_not_told():
    seen, places = told()
    cut(document(call(f"<t{FOREIGN}>1</t{FOREIGN}>")), seen=seen)
    assert places == ["Calls.Call.…"]


def test_a_name_is_one_in_its_namespace_only():
    seen, _ = told()
    other = '<partner xmlns="urn:more">SECRET1</partner><cell>SECRET2</cell><ext:partner>SECRET3</ext:partner>'
    text = cut(document(call(other + "<ext:cell>given</ext:cell>")), seen=seen)
    assert "SECRET" not in text and "<ext:cell>given</ext:cell>" in text


def test_prefixes_may_change_what_they_mean_anywhere():
    seen, _ = told()
    rebound = '<p:cell xmlns:p="urn:more">given</p:cell><ext:cell xmlns:ext="urn:calls">SECRET</ext:cell>'
    default = f'<x:Call xmlns:x="urn:calls" xmlns="urn:elsewhere"><x:when>{WHEN}</x:when><x:line>{MINE.native}</x:line>'
    text = cut(
        document(call(rebound), call(), call(), default + "<partner>SECRET</partner></x:Call>", call()), seen=seen
    )
    assert "SECRET" not in text and "<ext:cell>given</ext:cell>" in text and text.count("<Call>") == 5
    for root in (' xmlns="urn:more" xmlns:ext="urn:calls"', ' xmlns:ext="urn:calls" xmlns:c="urn:more"'):
        inside = "".join(
            f"<ext:Call><ext:when>{WHEN}</ext:when><ext:line>{MINE.native}</ext:line>{cell}</ext:Call>"
            for cell in ("", '<cell xmlns="urn:more">given</cell>', "<ext:partner>1</ext:partner>")
        )
        text = cut(f"<ext:Calls{root}>{inside}</ext:Calls>".encode(), seen=seen)
        assert (
            text.count("<Call><when>") == 3 and "<ext:cell>given</ext:cell>" in text and "<partner>1</partner>" in text
        )


def test_comments_instructions_hints_and_cdata_are_not_carried_over():
    hints = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="SECRET x" xsi:type="SECRET"'
    body = document(
        "<!-- SECRET --><?SECRET x?>",
        call("<!-- SECRET </Call> --><note>a<![CDATA[<b>&]]>c</note>", hints),
        call("<note><![CDATA[</Call>]]></note>"),
        attributes=' xmlns="urn:calls"' + hints,
    )
    text = cut(body)
    assert "SECRET" not in text and "<note>a&lt;b&gt;&amp;c</note>" in text and "<note>&lt;/Call&gt;</note>" in text
    for size in (1, 3, 64):
        assert cut(body, size=size) == text


def test_texts_are_exact_and_written_one_way():
    text = cut(
        document(call("<note> a &lt; b\n\t&#233;&#x20AC; &quot;'&gt; </note><note/>", ' id="&quot;&#10;a&apos;"'))
    )
    assert "<note> a &lt; b\n\té€ \"'&gt; </note><note></note>" in text and ' id="&quot;&#xA;a\'"' in text
    assert "<note>a&#xD;b</note>" in cut(document(call("<note>a&#13;b</note>")))
    assert "<note>a\nb</note>" in cut(document(call(), call("<note>a\r\nb</note>")))


@pytest.mark.parametrize("spelling", ["33612345678", "336 123 456 78", "&#51;3612345678", "<![CDATA[3361]]>2345678"])
def test_no_text_and_no_attribute_names_an_account(spelling):
    plain = spelling.startswith("336 ") or spelling == MINE.native
    attribute = f' id="{spelling}"' if "<" not in spelling else ""
    calls = [
        call(f"<partner>{spelling}</partner><note>to {spelling}!</note><note>x</note>", attribute) for _ in range(4)
    ]
    text = cut(document(call(), *calls))
    assert MINE.native not in text and "336 123" not in text and text.count(MINE.ref) == 5 + 8 + 4 * bool(attribute)
    assert plain or "&#51" not in text
    withheld = cut(
        document(*calls).replace(b"33612345678</line>", b"33698765432</line>"), accounts=(OTHER,), others=(MINE.native,)
    )
    assert MINE.native not in withheld and "to withheld!" in withheld


def test_where_numbers_may_stay_only_her_own_do():
    form = replace(FORM, numbers=frozenset({("Call", "partner")}))
    inside = f"<partner>{MINE.native} and {OTHER.native}</partner><note>{MINE.native}</note>"
    plan = plan_of(form, DATASET, others=(OTHER.native,))
    found = plan.cut(sent_of(plan, "/calls"), "application/xml", document(*[call(inside)] * 3), ALWAYS).body.decode()
    assert found.count(f"<partner>{MINE.native} and withheld</partner><note>{MINE.ref}</note>") == 3
    withheld = plan_of(form, DATASET, ["partner"], others=(OTHER.native,))
    body = document(*[call(inside)] * 3)
    assert MINE.native not in withheld.cut(sent_of(withheld, "/calls"), "application/xml", body, ALWAYS).body.decode()


def test_an_account_number_in_two_elements_is_none_and_amounts_and_moments_stay():
    seen, _ = told()
    text = cut(document(call(), call('<note>33612<b/>345678</note><cost currency="EUR">33612345678</cost>')), seen=seen)
    assert "33612345678</cost>" in text and f"<note>{MINE.ref}</note>" in text


def test_markup_in_free_text_goes_and_its_own_text_stays():
    seen, places = told()
    text = cut(document(call("<note>hello <b>SECRET</b>world</note>")), seen=seen)
    assert "<note>hello world</note>" in text and "SECRET" not in text and places == ["Calls.Call.note.b"]


def test_deep_nesting_is_refused_at_the_depth_allowed():
    inside = DEPTH - 2  # below the list and the record
    seen, _ = told()
    assert "<Call>" in cut(document(call("<d>" * inside + "</d>" * inside)), seen=seen)
    for depth in (inside + 1, 200_000):
        for body in (
            document(call("<d>" * depth + "</d>" * depth)),
            document("<d>" * (depth + 1) + "</d>" * (depth + 1)),
        ):
            with pytest.raises(TooLarge):
                cut(body, seen=seen)


def test_one_element_may_not_fill_the_memory():
    plan = plan_of(FORM, DATASET, seen=told()[0])
    for endless in (b"<note>", b"<partner", b"<partner a='", b"<!--", b"<?x ", b"<note><![CDATA["):
        cutter = plan.cutter(sent_of(plan, "/calls"), "application/xml", ALWAYS)
        cutter.feed(document(call())[: -len("</Calls>")] + b"<Call>" + endless)
        with pytest.raises((TooLarge, UnknownShape)):
            for _ in range(2 * LIMIT // 50_000):
                cutter.feed(b"x" * 50_000)


def test_what_is_skipped_may_be_of_any_size():
    plan = plan_of(FORM, DATASET, seen=told()[0])
    cutter = plan.cutter(sent_of(plan, "/calls"), "application/xml", ALWAYS)
    out = cutter.feed(document(call())[: -len("</Calls>")] + b"<unheard>")
    for _ in range(2 * LIMIT // 50_000):
        out += cutter.feed(b"<x>" + b"y" * 49_993 + b"</x>")
    out += cutter.feed(b"</unheard>" + call().encode() + b"</Calls>") + cutter.close()
    assert out.count(b"<Call>") == 2 and b"y" not in out.replace(b"xmlns", b"").replace(b"more", b"").replace(
        b"key", b""
    )


def test_a_million_siblings_and_a_million_attributes():
    seen, _ = told()
    body = document("<x/>" * 1_000_000, call())
    assert cut(body, seen=seen).count("<Call>") == 1
    wide = document(call("<partner " + " ".join(f"a{n}='1'" for n in range(100_000)) + ">1</partner>"))
    assert "<partner>1</partner>" in cut(wide, seen=seen)


def test_ends_of_records_in_a_comment_cost_no_more_than_other_words():
    body = document(call(), f"<!--{'</Call>' * 100_000}-->", call(), call())
    assert cut(body).count("<Call>") == 3
    assert cut(document(*[call("<note><![CDATA[</Call></Call>]]></note>")] * 2000, call())).count("<Call>") == 2001


def test_a_large_answer_is_only_cut_as_a_stream_and_its_memory_stays_flat():
    plan = plan_of(FORM, DATASET, ["partner"])
    many = (call("<partner>1</partner>") * 1000).encode()
    with pytest.raises(TooLarge):
        plan.cut(sent_of(plan, "/calls"), "application/xml", b" " * (LIMIT + 1), ALWAYS)
    cutter = plan.cutter(sent_of(plan, "/calls"), "application/xml", ALWAYS)
    given = cutter.feed(b'<Calls xmlns="urn:calls">').count(b"<Call>")
    for _ in range(100):
        given += cutter.feed(many).count(b"<Call>")
        assert len(cutter._buffer) < len(many)
    given += cutter.feed(b"</Calls>").count(b"<Call>") + cutter.close().count(b"<Call>")
    assert given == cutter.counts().records == 100_000 and cutter.counts().fields_withheld == 100_000


def test_records_of_the_same_name_as_their_list():
    text = CALLS.replace('at = "Calls.Call"', 'at = "Call.Call"').replace('"Calls:Calls"', '"Call:Calls"')
    form = form_of(text)
    plan = plan_of(form, DATASET)
    body = f'<Call xmlns="urn:calls">{call()}<Call/>'.encode()
    with pytest.raises(UnknownShape):
        plan.cut(sent_of(plan, "/calls"), "application/xml", body + b"</Call>" + call().encode(), ALWAYS)
    body = f'<Call xmlns="urn:calls">{call() * 4}</Call>'.encode()
    found = plan.cut(sent_of(plan, "/calls"), "application/xml", body, ALWAYS)
    assert found.counts.records == 4 and found.body.count(b"</Call>") == 5
    with pytest.raises(UnknownShape):
        plan.cut(sent_of(plan, "/calls"), "application/xml", body + call().encode() * 2, ALWAYS)


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/xml; charset=utf-16", "text/xml; charset=latin1"]
)
def test_another_media_type_or_character_set_is_refused(media_type):
    plan = plan_of(FORM, DATASET)
    with pytest.raises(UnknownShape):
        plan.cut(sent_of(plan, "/calls"), media_type, document(call()), ALWAYS)
    assert plan.cut(sent_of(plan, "/calls"), 'text/xml; charset="UTF-8"', document(call()), ALWAYS).counts.records == 1


@pytest.mark.parametrize("encoding", ["iso-8859-1", "windows-1252"])
def test_a_declared_encoding_is_read_and_leaves_as_utf_8(encoding):
    form = form_of(CALLS.replace('driver = "xml"', f'driver = "xml"\nencoding = "{encoding}"'))
    plan = plan_of(form, DATASET)
    text = document(call("<note>déjà</note>"), call("<note>vu é</note>")).decode()
    for head in (f'<?xml version="1.0" encoding="{encoding}"?>', ""):
        body = (head + text).encode(encoding)
        for header in ("application/xml", f"application/xml; charset={encoding.upper()}"):
            found = plan.cut(sent_of(plan, "/calls"), header, body, ALWAYS).body
            assert "<note>déjà</note>".encode() in found and found.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
            assert streamed(plan, sent_of(plan, "/calls"), body, 3)[0] == found
    for wrong in ('<?xml version="1.0" encoding="utf-8"?>', '<?xml version="1.0" encoding="koi8-r"?>'):
        with pytest.raises(UnknownShape):
            plan.cut(sent_of(plan, "/calls"), "application/xml", (wrong + text).encode(encoding), ALWAYS)

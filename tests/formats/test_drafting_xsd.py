"""XML Schema and XML samples become the same kind of table: `@name` for attributes, `.` for the text."""

import tomllib
from pathlib import Path

import pytest
from drafted_declarations import Shapes, drafted, faults, shapes

from gateway.formats.drafting.nodes import Unreadable

HEAD = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:calls" targetNamespace="urn:calls"'


def schema(folder: Path, body: str, head: str = f'{HEAD} elementFormDefault="qualified">', name: str = "a.xsd") -> Path:
    path = folder / name
    path.write_text(f"{head}{body}</xs:schema>")
    return path


def table(path: Path, **more: str) -> tuple[Shapes, str]:
    text = drafted("xsd", path, root=more.get("root", ""))
    assert not faults(text)
    return shapes(tomllib.loads(text)), text


BASE = """
<xs:element name="Calls"><xs:complexType><xs:sequence>
  <xs:element name="Call" type="Call" maxOccurs="unbounded"/>
</xs:sequence><xs:attribute name="count" type="xs:int"/></xs:complexType></xs:element>
<xs:complexType name="Event"><xs:sequence>
  <xs:element name="At" type="xs:dateTime"/>
</xs:sequence><xs:attribute name="id" type="xs:ID"/></xs:complexType>
<xs:complexType name="Call"><xs:complexContent><xs:extension base="Event"><xs:sequence>
  <xs:choice><xs:element name="Line" type="Line"/><xs:element name="Shop" type="xs:string"/></xs:choice>
  <xs:element name="Cost" type="Money" minOccurs="0"/>
  <xs:element name="Comment" type="xs:string" minOccurs="0"/>
  <xs:group ref="Parts"/>
</xs:sequence><xs:attributeGroup ref="Marks"/></xs:extension></xs:complexContent></xs:complexType>
<xs:simpleType name="Line"><xs:restriction base="xs:string"><xs:pattern value="[0-9]+"/></xs:restriction>
</xs:simpleType>
<xs:complexType name="Money"><xs:simpleContent><xs:extension base="xs:decimal">
  <xs:attribute name="currency" type="xs:string"/>
</xs:extension></xs:simpleContent></xs:complexType>
<xs:group name="Parts"><xs:sequence><xs:element name="Part" maxOccurs="9"><xs:complexType><xs:sequence>
  <xs:element name="Seconds" type="xs:positiveInteger"/></xs:sequence></xs:complexType></xs:element></xs:sequence>
</xs:group>
<xs:attributeGroup name="Marks"><xs:attribute name="billed" type="xs:boolean"/></xs:attributeGroup>
"""


def test_types_extensions_groups_and_simple_content_are_read(tmp_path: Path) -> None:
    found, text = table(schema(tmp_path, BASE))
    assert found == {
        "Answer": {"Calls": "Calls"},
        "Calls": {"Call": "Call*", "@count": "i"},
        "Call": {
            "At": "s",
            "@id": "p",
            "Line": "s",
            "Shop": "s",
            "Cost": "Money",
            "Comment": "x",
            "Part": "Part*",
            "@billed": "b",
        },
        "Money": {".": "n", "@currency": "s"},
        "Part": {"Seconds": "i"},
    }
    form = tomllib.loads(text)["format"]
    assert form["driver"] == "xml" and form["namespaces"] == {"": "urn:calls"}
    assert form["records"]["Call"] == {"at": "Calls.Call", "instant": "At"}
    assert "pattern (1×, as at Line)" in text


def test_samples_of_xml_are_read_into_the_same_words(tmp_path: Path) -> None:
    path = tmp_path / "answer.xml"
    call = '<Call id="a{0}"><At>2024-05-17T10:0{0}:00Z</At><Cost currency="EUR">1.{0}</Cost>{1}</Call>'
    body = call.format(1, "<Part><Seconds>3</Seconds></Part><Part><Seconds>4</Seconds></Part>") + call.format(
        2, "<Shop/>"
    )
    path.write_text(
        f'<Calls xmlns="urn:calls" xmlns:o="urn:other" count="2" o:mark="x">{body}<o:End>true</o:End></Calls>'
    )
    text = drafted("sample", path)
    assert not faults(text)
    found = shapes(tomllib.loads(text))
    assert found == {
        "Answer": {"Calls": "Calls"},
        "Calls": {"@count": "i", "@o:mark": "s", "Call": "Call*", "o:End": "b"},
        "Call": {"@id": "p", "At": "s", "Cost": "Cost", "Part": "Part*", "Shop": "s"},
        "Cost": {"@currency": "s", ".": "n"},
        "Part": {"Seconds": "i"},
    }
    assert tomllib.loads(text)["format"]["namespaces"] == {"": "urn:calls", "o": "urn:other"}


def test_elements_of_no_namespace_are_told_from_those_of_one(tmp_path: Path) -> None:
    """Without a prefix they would be taken for elements of the declared namespace."""
    found, text = table(schema(tmp_path, BASE, f"{HEAD}>"))
    assert "own:Calls" in found["Answer"] and "Call" in found["Calls"] and "At" in found["Call"]
    assert tomllib.loads(text)["format"]["namespaces"] == {"own": "urn:calls"}
    referring = (
        '<xs:element name="Root"><xs:complexType><xs:sequence><xs:element ref="Calls"/></xs:sequence></xs:complexType>'
    )
    found, text = table(schema(tmp_path, f"{BASE}{referring}</xs:element>", f"{HEAD}>"), root="Root")
    assert "own:Calls" in found["Root"] and "own:Root" in found["Answer"]
    path = tmp_path / "answer.xml"
    path.write_text(
        '<o:Calls xmlns:o="urn:calls"><Call><At>1</At></Call><Call xmlns="urn:calls"><At>2</At></Call></o:Calls>'
    )
    text = drafted("sample", path)
    assert list(shapes(tomllib.loads(text))["Calls"]) == ["Call", "o:Call"]


@pytest.mark.parametrize(
    "default, form, name",
    [
        ("", "", "@by"),
        ("", 'form="qualified"', "@own:by"),
        ('attributeFormDefault="qualified"', "", "@own:by"),
        ('attributeFormDefault="qualified"', 'form="unqualified"', "@by"),
    ],
)
def test_an_attribute_is_of_the_namespace_where_the_schema_says_so(
    tmp_path: Path, default: str, form: str, name: str
) -> None:
    body = f"""<xs:element name="Call"><xs:complexType>
      <xs:attribute name="by" type="xs:string" {form}/></xs:complexType></xs:element>
      <xs:element name="Calls"><xs:complexType><xs:sequence>
      <xs:element ref="Call" maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element>"""
    head = f'{HEAD} elementFormDefault="qualified" {default}>'
    found, text = table(schema(tmp_path, body, head), root="Calls")
    prefix = name.rpartition(":")[0].removeprefix("@")
    assert list(found["Call"]) == [name]
    assert tomllib.loads(text)["format"]["namespaces"] == {prefix: "urn:calls"}


def test_a_sample_with_attributes_of_its_own_namespace_has_a_prefix_for_it(tmp_path: Path) -> None:
    path = tmp_path / "answer.xml"
    call = '<Call t:id="{}"><At>2026-01-02</At></Call>'
    path.write_text(f'<Calls xmlns="urn:t" xmlns:t="urn:t">{call.format(5)}{call.format(6)}</Calls>')
    text = drafted("sample", path)
    assert not faults(text)
    found = tomllib.loads(text)
    [prefix] = found["format"]["namespaces"]
    assert prefix and set(shapes(found)["Call"]) == {f"@{prefix}:id", f"{prefix}:At"}


@pytest.mark.parametrize("declared, word", [("ISO-8859-1", "iso-8859-1"), ("Windows-1252", "windows-1252")])
def test_the_encoding_that_a_sample_declares_is_written(tmp_path: Path, declared: str, word: str) -> None:
    path = tmp_path / "answer.xml"
    text = f'<?xml version="1.0" encoding="{declared}"?><Calls><Call><At>2026-01-02</At><By>Zoé</By></Call></Calls>'
    path.write_bytes(text.encode(word))
    found = drafted("sample", path)
    assert tomllib.loads(found)["format"]["encoding"] == word and not faults(found)
    other = tmp_path / "other.xml"
    other.write_text("<Calls><Call><At>2026-01-02</At></Call></Calls>", encoding="utf-8")
    with pytest.raises(Unreadable, match=f"{other}: is in another encoding than the file before"):
        drafted("sample", path, other)


def test_an_encoding_that_no_declaration_can_say_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "answer.xml"
    text = '<?xml version="1.0" encoding="ISO-8859-15"?><Calls><Call><At>2026-01-02</At></Call></Calls>'
    path.write_bytes(text.encode("iso-8859-15"))
    with pytest.raises(
        Unreadable, match="is in ISO-8859-15, and no format can be; have the organisation send it in utf-8"
    ):
        drafted("sample", path)


def test_no_text_and_no_attribute_of_a_sample_is_written_or_told(tmp_path: Path) -> None:
    path = tmp_path / "answer.xml"
    call = '<Call by="Zoé Kanarie"><At>1987-11-23</At>Kanarie<Note>Kanarie called about 98765</Note></Call>'
    path.write_text(f"<?Kanarie 1?><!-- Kanarie --><Calls>{call}{call}</Calls>", encoding="utf-8")
    text = drafted("sample", path).replace(str(tmp_path), "")
    assert not [each for each in ("anarie", "1987", "98765") if each in text]
    assert shapes(tomllib.loads(text))["Call"] == {"@by": "s", "At": "s", "Note": "x", ".": "x"}


def test_what_no_word_says_is_never_given_and_named(tmp_path: Path) -> None:
    body = """<xs:element name="Root"><xs:complexType mixed="true"><xs:sequence>
      <xs:element name="A" type="xs:int"/><xs:element name="T" type="Tree"/><xs:element name="Any" type="xs:anyType"/>
      <xs:element name="Lost" type="Nowhere"/><xs:element ref="Missing"/><xs:any/></xs:sequence><xs:anyAttribute/>
      </xs:complexType></xs:element>
      <xs:complexType name="Tree"><xs:sequence><xs:element name="V" type="xs:int"/><xs:element name="Tree" type="Tree"/>
      </xs:sequence></xs:complexType>"""
    found, text = table(schema(tmp_path, body))
    assert found["Root"] == {"A": "i", "T": "Tree", "Any": "-", "Lost": "-", "Missing": "-", ".": "x"}
    assert found["Tree"] == {"V": "i", "Tree": "-"}
    told = (
        "text between elements",
        "the type Tree, which contains itself",
        "any content",
        "the type Nowhere",
        "any element",
        "any attribute",
    )
    for what in (*told, "the element Missing, which is in no file here"):
        assert f": {what}" in text, what


def test_what_may_stand_in_the_place_of_an_element_is_a_member_too(tmp_path: Path) -> None:
    body = """<xs:element name="Root"><xs:complexType><xs:sequence><xs:element ref="Head"/></xs:sequence>
      </xs:complexType></xs:element>
      <xs:element name="Head" abstract="true" type="xs:string"/>
      <xs:element name="Card" substitutionGroup="Head" type="xs:string"/>
      <xs:element name="Cash" substitutionGroup="Head" type="xs:decimal"/>"""
    assert table(schema(tmp_path, body), root="Root")[0]["Root"] == {"Card": "s", "Cash": "n"}


def test_files_beside_are_included_and_others_are_named(tmp_path: Path) -> None:
    inner = tmp_path / "in"
    inner.mkdir()
    schema(tmp_path, '<xs:simpleType name="Out"><xs:restriction base="xs:int"/></xs:simpleType>', name="out.xsd")
    schema(
        inner,
        '<xs:complexType name="In"><xs:sequence><xs:element name="A" type="xs:int"/></xs:sequence></xs:complexType>',
        name="in.xsd",
    )
    body = """<xs:include schemaLocation="in.xsd"/><xs:include schemaLocation="../out.xsd"/>
      <xs:import namespace="urn:web" schemaLocation="https://schemas.example/web.xsd"/>
      <xs:element name="Root"><xs:complexType><xs:sequence>
      <xs:element name="In" type="In"/><xs:element name="Out" type="Out"/>
      </xs:sequence></xs:complexType></xs:element>"""
    found, text = table(schema(inner, body))
    assert {"A": "i"} in found.values() and "Out" not in found
    assert "include of ../out.xsd: not in this folder, and never fetched" in text
    assert "import of https://schemas.example/web.xsd: not in this folder, and never fetched" in text


@pytest.mark.parametrize("kind", ["xsd", "sample"])
@pytest.mark.parametrize(
    "text, why",
    [
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a><b>&x;</b></a>', "DOCTYPE"),
        ('<!DOCTYPE a SYSTEM "https://schemas.example/a.dtd"><a><b/></a>', "DOCTYPE"),
        ("<a><b></a>", "is not well-formed XML"),
        ("<a>" * 300, "is not well-formed XML"),
        ("", "is empty"),
    ],
    ids=["entity", "dtd", "broken", "deep", "empty"],
)
def test_hostile_and_broken_files_are_refused(tmp_path: Path, kind: str, text: str, why: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(Unreadable, match=why):
        drafted(kind, path)


def test_groups_that_contain_themselves_twice_are_refused(tmp_path: Path) -> None:
    body = """<xs:element name="Root"><xs:complexType><xs:group ref="G"/></xs:complexType></xs:element>
      <xs:group name="G"><xs:sequence><xs:group ref="G"/><xs:group ref="G"/></xs:sequence></xs:group>"""
    with pytest.raises(Unreadable, match="has more than 60000 particles"):
        drafted("xsd", schema(tmp_path, body))


@pytest.mark.parametrize(
    "body, root, why",
    [
        ("", "", "has no element of its own; name a type of it: --root TYPE"),
        ('<xs:element name="A" type="xs:int"/>', "", "has nothing inside"),
        ('<xs:element name="A" type="xs:int"/>', "B", "has no such element or type"),
    ],
    ids=range(3),
)
def test_a_schema_without_records_is_refused(tmp_path: Path, body: str, root: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        drafted("xsd", schema(tmp_path, body), root=root)


def test_what_is_no_schema_is_refused_with_the_right_option(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<a><b/></a>")
    with pytest.raises(Unreadable, match="is no XML Schema .* for an answer write --sample"):
        drafted("xsd", path)

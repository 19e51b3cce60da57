"""What a format of XML may not say is told when it is read, with what would be right."""

import tomllib

import pytest
from xml_documents import CALLS, FIELDS, dataset_of, form_of

from gateway.catalogue import format_files
from gateway.catalogue.words import FileTable
from gateway.formats import registry


def faults(text: str) -> str:
    found: list[str] = []
    form = format_files.read(FileTable("format", tomllib.loads(text), found), "")
    if not found:
        dataset = dataset_of("calls", FIELDS, ("when",), "Call/when")
        found = [f"{key}: {wrong}" for _, key, wrong in registry.form_faults(form, {"calls": dataset})]
    return "\n".join(found)


def test_a_right_one_has_none():
    assert faults(CALLS) == ""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('at = "Calls.Call"', "", "begin with the name of the root element"),
        ('at = "Calls.Call"', 'at = "Calls"', "Calls of Answer in shapes must be Call*"),
        ('Answer = "Calls:Calls"', 'Answer = "Calls:Calls*"', "Calls.Call of Answer in shapes must be Call*"),
        ("ext:cell:s", "other:cell:s", "the prefix other is in no [format.namespaces]"),
        ("ext:cell:s", "ext:cell:j", "write the type of what stands there"),
        ("ext:cell:s", "ext:cell:s{}", "write the type of what stands there"),
        ("tags:s*", "tags:s**", "write the type of what stands there"),
        ("@id:s", "@id:s*", "has one value"),
        ("@id:s", "@id:Money", "has one value"),
        ('Money = "@currency:s .:d"', 'Money = "@currency:s .:d cents:i"', "free text: write .:x"),
        ("tags:s*", "2tags:s*", "is no name of XML"),
        ('ext = "urn:more"', 'ext = "urn:calls"', "each namespace once"),
        ('ext = "urn:more"', 'xml = "urn:more"', "a prefix is"),
        ('account = "line"', 'account = "tags"', "may stand there several times"),
        ('account = "line"', 'account = "cost"', "name cost.."),
        ("[namespaces]", '[required]\n"Call/cost" = { instead = "0" }\n[namespaces]', "a text can stand in place of"),
        ("[namespaces]", '[required]\n"Call/length" = "renumber"\n[namespaces]', "in a list inside a record"),
        ('driver = "xml"', 'driver = "xml"\nencoding = "utf-16"', "encoding: one of utf-8"),
    ],
)
def test_faults_say_what_would_be_right(old, new, told):
    assert CALLS.count(old) >= 1
    assert told in faults(CALLS.replace(old, new, 1))


def test_renumber_and_encoding_are_for_xml():
    as_json = CALLS.replace('driver = "xml"', 'driver = "json"').replace("[namespaces]", "[x]", 1)
    as_json = as_json.partition("[x]")[0] + as_json[as_json.index("[shapes]") :]
    wrong = as_json.replace("[shapes]", '[required]\n"Call/length" = "renumber"\n[shapes]')
    assert "renumber is for XML" in faults(wrong)
    assert "it belongs to xml" in faults(as_json.replace('driver = "json"', 'driver = "json"\nencoding = "utf-8"'))


def test_the_text_of_an_element_with_attributes_is_named_by_a_dot():
    form = form_of(CALLS.replace('account = "line"', 'account = "line.."').replace("line:s", "line:Line").replace(
        "[shapes]", '[shapes]\nLine = "@kind:s .:s"'))  # fmt: skip
    assert form.records["Call"].account == ("line", ".")

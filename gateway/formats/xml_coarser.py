"""Texts of XML made coarser. An empty element is not there; one of which nothing can be made is not given."""

from collections.abc import Callable, Mapping

from gateway.catalogue.formats import Format, Member
from gateway.catalogue.made import Made
from gateway.formats.coarser import Make
from gateway.formats.model import UnknownShape
from gateway.formats.xml_parsing import BLANK, Node
from gateway.formats.xml_table import XSI, neutral_text

Change = Callable[[str], str | None]


def changes(form: Format, coarse: Mapping[Member, Made], makers: Mapping[Member, Make]) -> dict[Member, Change]:
    """The function for each member but those of which is only told whether they are there. It gives None where nothing
    is given, and raises UnknownShape where the format requires something."""
    return {member: _change(form, member, makers[member]) for member, how in coarse.items() if how.word != "yes"}


def _change(form: Format, member: Member, make: Make) -> Change:
    instead = neutral_text(form.instead[member]) if member in form.instead else None
    required = member in form.required

    def change(text: str) -> str | None:
        text = text.strip(BLANK)
        if not text:
            return text
        made = make(text)
        if made is None and required:
            raise UnknownShape("/".join(member))
        return instead if made is None else made

    return change


def is_there(node: Node) -> bool:
    """Whether an element says anything: a hint of schemas, such as xsi:nil, does not."""
    said = any(isinstance(item, Node) or item.strip(BLANK) for item in node.items)
    return said or any(not key.startswith(f"{XSI} ") for key in node.attributes[::2])

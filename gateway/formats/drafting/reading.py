"""What a reader hands on: the answers there are, and everything it learnt around them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.formats.drafting.nodes import Node, Remark
from gateway.formats.drafting.proofs import ProofDraft


@dataclass(slots=True)
class AnswerShape:
    """What comes back from one call."""

    name: str
    node: Node
    path: str = ""  # at the gateway; empty: not known
    route: str = ""  # the same without what is in front of every call
    asks: str = ""  # at the organisation, where that differs
    why_asks: str = ""
    query: list[str] = field(default_factory=list)
    said: str = ""


@dataclass(slots=True)
class Reading:
    driver: str
    answers: list[AnswerShape] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # what was read, in sentences
    notes: list[Remark] = field(default_factory=list)
    parameters: dict[str, "ParameterDraft"] = field(default_factory=dict)
    linked: bool = False  # pages follow by a Link header
    title: str = ""
    server: str = ""
    media_types: list[str] = field(default_factory=list)
    csv: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"  # of XML
    namespaces: Mapping[str, str] = field(default_factory=dict)
    proof: ProofDraft | None = None  # how the organisation is called, where that is said
    person: str = ""  # the path before all others that names the customer; empty: there is none
    seen: bool = False  # of samples: kinds were guessed from values

    def of_records(self, node: Node, told: str) -> "Reading":
        """With the one answer there is."""
        self.answers.append(AnswerShape("records", node))
        self.told.append(told)
        return self


@dataclass(slots=True)
class ParameterDraft:
    """`keys`: as [format.parameters] has them. `why`: from what it was guessed."""

    keys: dict[str, Any]
    why: str
    way: str = ""  # page, offset or cursor

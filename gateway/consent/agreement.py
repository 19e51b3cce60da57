"""What a person says yes to, as one value: from the form of the screen to the rows of the record."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from gateway.consent.actors import Actor
from gateway.consent.facts import AppView, OrganisationFacts
from gateway.consent.request import Ask
from gateway.consent.tables import Consent


@dataclass(frozen=True, slots=True)
class Choices:
    """What the person chose. Nothing in it is more than was offered: whoever reads her form sees to that."""

    granted: frozenset[tuple[str, str]]  # (organisation, dataset)
    accounts: Mapping[str, tuple[str, ...]]  # organisation → pairwise references
    duration: str  # key of rules.DURATIONS
    fields: Mapping[tuple[str, str], frozenset[str]] | None = None  # narrower fields; None: all that was asked


@dataclass(frozen=True, slots=True)
class Decider:
    """Who says yes, the person or her guardian for her, and how she signed in."""

    actor: Actor
    minor: bool  # the person whose data it is, not her guardian
    auth_time: datetime
    methods: tuple[str, ...]
    recent_sign_in: bool
    until: datetime | None = None  # when her capacity ends: a child comes of age, and decides alone from then on


@dataclass(frozen=True, slots=True)
class Notice:
    """What was on the screen (A37): rendered again from `shown`, the same template gives the same `text_sha256`."""

    language: str
    template: str
    template_sha256: str
    shown: Mapping[str, Any]
    text_sha256: str
    shown_at: datetime


@dataclass(frozen=True)
class Agreement:
    """Yes to one consent that was asked for. App and organisations are as they were when she read about them."""

    consent: Consent
    app: AppView
    directory: Mapping[str, OrganisationFacts]
    choices: Choices
    decider: Decider
    notice: Notice

    @cached_property
    def ask(self) -> Ask:
        return Ask.from_json(self.consent.asked)

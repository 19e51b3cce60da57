"""What a person says yes to, as one value, passed from the form of the consent screen to the rows that are stored."""

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
    """What the person chose. Never more than was offered: the code that reads the form makes sure of it."""

    granted: frozenset[tuple[str, str]]  # (organisation, dataset)
    accounts: Mapping[str, tuple[str, ...]]  # organisation → pairwise references
    duration: str  # key of rules.DURATIONS
    fields: Mapping[tuple[str, str], frozenset[str]] | None = None  # narrower fields; None: all that was asked


@dataclass(frozen=True, slots=True)
class Decider:
    """Who says yes: the person or her guardian. And what is known of that sign-in."""

    actor: Actor
    minor: bool  # whether the person whose data it is (not her guardian) is under age
    auth_time: datetime
    methods: tuple[str, ...]
    recent_sign_in: bool
    until: datetime | None = None  # when a guardian's right to decide ends: the child comes of age


@dataclass(frozen=True, slots=True)
class Notice:
    """What was on the screen: rendering `shown` again with the same template gives the same `text_sha256`."""

    language: str
    template: str
    template_sha256: str
    shown: Mapping[str, Any]
    text_sha256: str
    shown_at: datetime


@dataclass(frozen=True)
class Agreement:
    """The yes to one requested consent. App and organisations are as they were when the person read the screen."""

    consent: Consent
    app: AppView
    directory: Mapping[str, OrganisationFacts]
    choices: Choices
    decider: Decider
    notice: Notice
    asked: Ask | None = None  # if she was asked less than the app did, because the rest is granted already

    @cached_property
    def ask(self) -> Ask:
        return self.asked or Ask.from_json(self.consent.asked)

"""Apps and types of data as pages describe them, in one place, so that screen, list, detail and preview agree."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from gateway.catalogue import Dataset, Words
from gateway.consent.facts import AppView
from gateway.ground.calendar.instants import local_day

NEW_DAYS = 30  # the screen points out an app that was registered more recently than this


def app_facts(app: AppView, language: str, now: datetime, zone: str) -> dict[str, Any]:
    return {
        "id": app.client_id,
        "name": said(app.name, language),
        "legal_entity": app.legal_entity,
        "on_behalf_of": app.on_behalf_of,
        "website": app.website,
        "privacy_policy": app.privacy_policy,
        "terms": app.terms_url,
        "deletion_contact": app.deletion_contact,
        "verified": app.verified,
        "registered": local_day(app.registered_at, zone).isoformat(),
        "new": now - app.registered_at < timedelta(days=NEW_DAYS),
        "logo": app.has_logo,
        "metadata_sha256": app.metadata_sha256,
        **({"host": urlsplit(app.client_id).hostname} if app.came_by == "document" else {}),
    }


def dataset_facts(known: Dataset | None, dataset: str, fields: Sequence[str], language: str) -> dict[str, Any]:
    """A type of data in the words of the catalogue or the organisation. One that is there no longer is shown by its
    id."""
    if known is None:
        return {"label": dataset, "short": "", "long": "", "whole": False, "fields": []}
    return {
        "label": known.label[language],
        "short": known.short[language],
        "long": known.long[language],
        "whole": known.whole,
        "fields": [
            {
                "id": name,
                "label": known.fields[name].label[language],
                "short": known.fields[name].short[language],
                "comes_with": known.fields[name].beside(language),
                "structural": known.fields[name].structural,
            }
            for name in fields
            if name in known.fields
        ],
    }


def said(words: Words, language: str) -> dict[str, str]:
    """A text of an app or organisation, with the language it is written in. If there is none in the reader's language,
    another language is shown rather than nothing."""
    spoken = language if words.get(language) else next((name for name in sorted(words) if words[name]), language)
    return {"text": words.get(spoken, ""), "lang": spoken}


def item_name(organisation: str, dataset: str) -> str:
    """The name of the checkbox for one type of data at one organisation, the same in every form."""
    return f"item:{organisation}:{dataset}"


def account_name(organisation: str, ref: str) -> str:
    """The name of the checkbox for one account at one organisation. `ref`: as the app sees it."""
    return f"account:{organisation}:{ref}"

"""Apps and types of data as every page describes them: screen, list, detail and preview say the same."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from gateway.catalogue import Catalogue, Words
from gateway.consent.facts import AppView

NEW_DAYS = 30  # an app registered more recently is pointed out (A34)


def app_facts(app: AppView, language: str, now: datetime) -> dict[str, Any]:
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
        "registered": app.registered_at.date().isoformat(),
        "new": now - app.registered_at < timedelta(days=NEW_DAYS),
        "logo": app.has_logo,
        "metadata_sha256": app.metadata_sha256,
    }


def dataset_facts(catalogue: Catalogue, dataset: str, fields: Sequence[str], language: str) -> dict[str, Any]:
    """A type of data in the catalogue's words, the same on every page (E6). One unknown now keeps its id."""
    known = catalogue.datasets.get(dataset)
    if known is None:
        return {"label": dataset, "short": "", "long": "", "fields": []}
    return {
        "label": known.label[language],
        "short": known.short[language],
        "long": known.long[language],
        "fields": [
            {
                "id": name,
                "label": known.fields[name].label[language],
                "short": known.fields[name].short[language],
                "comes_with": (known.fields[name].comes_with or {}).get(language, ""),
                "structural": known.fields[name].structural,
            }
            for name in fields
            if name in known.fields
        ],
    }


def said(words: Words, language: str) -> dict[str, str]:
    """Somebody else's words, and the language they are really in (A28): shown as it is, never left out."""
    spoken = language if words.get(language) else next((name for name in sorted(words) if words[name]), language)
    return {"text": words.get(spoken, ""), "lang": spoken}


def item_name(organisation: str, dataset: str) -> str:
    """The name of the box of one type of data at one organisation, in every form that has one."""
    return f"item:{organisation}:{dataset}"

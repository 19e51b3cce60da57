"""What the app is told of its grant: the terms in force as authorization_details (RFC 9396 §7), with the accounts."""

from collections.abc import Mapping
from typing import Any

from gateway.consent.itself import location
from gateway.consent.terms import granted_items


def details(terms: Mapping[str, Any], public_url: str) -> list[dict[str, Any]]:
    """One object per granted item. Accounts are the app's own pairwise references."""
    return [_detail(item, terms, public_url) for item in granted_items(terms)]


def organisations(terms: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(item["organisation"] for item in granted_items(terms)))


def locations(terms: Mapping[str, Any], public_url: str) -> list[str]:
    """Where something is granted, as tokens name it."""
    return [location(public_url, name) for name in organisations(terms)]


def _detail(item: Mapping[str, Any], terms: Mapping[str, Any], public_url: str) -> dict[str, Any]:
    period = {name: value for name, value in item["period"].items() if value is not None}
    detail: dict[str, Any] = {
        "type": "data_access",
        "locations": [location(public_url, item["organisation"])],
        "datatypes": [item["dataset"]],
        "actions": ["read"],
        "purpose": terms["purpose"]["code"],
        "fields": item["fields"],
        "accounts": item["accounts"],
        "period": period,
        "frequency": [{"times": limit["times"], "per": limit["per"]} for limit in item["frequency"]],
        "valid_until": terms["valid"]["until"],
        "once": terms["valid"]["max_uses"] == 1,
        "retention": terms["retention"]["duration"],
        "necessity": item["necessity"],
    }
    if item["records_max"] is not None:
        detail["max_records"] = item["records_max"]
    return detail

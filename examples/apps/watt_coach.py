"""Watt Coach: where a home's electricity goes, month by month and hour by hour, and one piece of advice.

A public client: it proves itself by PKCE alone, and its refresh token changes at every use.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from lxml import etree

from examples.apps.client import Declared, Json, Reader
from examples.apps.web import Site, serve
from examples.languages import words_of

PATH = "/espi/1_1/resource/Batch/Subscription/mine"
ZONE = ZoneInfo("Europe/Paris")
NS = {"e": "http://naesb.org/espi"}
CHART_HEIGHT = 160  # user units of the drawing
MANY = 13  # months shown

DECLARED = Declared.read(
    Path(__file__).with_name("watt-coach.toml"),
    period={"history": "P12M", "future": True},
    frequency={"times": 24, "per": "day"},
    valid_for="P6M",
    retention="P1M",
)

WORDS = words_of(
    title=("Watt Coach", "Watt Coach"),
    promise=(
        "Voyez où va votre électricité et ce que vous pouvez économiser.",
        "See where your electricity goes and what you could save.",
    ),
    how=(
        "Nous demandons votre consommation heure par heure à Énergie de la Ville, sur douze mois. Vous choisissez "
        "dans Aval ce que vous partagez, et vous arrêtez quand vous voulez. Vos mots de passe ne passent jamais par "
        "ici.",
        "We ask City Energy for your hourly use over twelve months. You choose in Aval what you share, and stop when "
        "you like. Your passwords never pass through here.",
    ),
    chart=("Consommation par mois, en kWh", "Use per month, in kWh"),
    share=("Jour et nuit", "Day and night"),
    night=("la nuit (22 h à 6 h)", "at night (22:00 to 06:00)"),
    day=("le jour", "by day"),
    tip=("Notre conseil", "Our advice"),
    tip_idle=(
        "Même aux heures creuses de votre journée, il reste une consommation de fond élevée. Cherchez ce qui reste "
        "branché : box, veilles, vieux congélateur.",
        "Even in your quietest hours a lot is still running. Look for what stays plugged in: router, standby, an old "
        "freezer.",
    ),
    tip_heating=(
        "L’hiver pèse lourd dans votre année. Un degré de moins au chauffage, c’est environ 7 % de moins.",
        "Winter weighs heavily in your year. One degree less of heating is about 7 % less.",
    ),
    tip_shift=(
        "Vous consommez surtout le soir. Lancez lave-linge et lave-vaisselle la nuit ou en milieu de journée.",
        "You use most in the evening. Run washing machine and dishwasher at night or around noon.",
    ),
    bills=("Vos relevés", "Your statements"),
    amount=("Montant", "Amount"),
    readings=("heures lues", "hours read"),
)


def load(reader: Reader) -> Json:
    answer = reader.get("city-energy", PATH)
    return picture(etree.fromstring(answer.content, etree.XMLParser(resolve_entities=False, no_network=True)))


def picture(feed: Any) -> Json:
    """What the page shows, from a Green Button feed."""
    hours = [
        (int(r.findtext("e:timePeriod/e:start", "0", NS)), _wh(r)) for r in feed.iterfind(".//e:IntervalReading", NS)
    ]
    factor = 10 ** int(feed.findtext(".//e:ReadingType/e:powerOfTenMultiplier", "0", NS)) / 1000
    months: dict[str, float] = defaultdict(float)
    by_hour = [0.0] * 24
    for start, wh in hours:
        local = datetime.fromtimestamp(start, UTC).astimezone(ZONE)
        months[f"{local:%Y-%m}"] += wh * factor
        by_hour[local.hour] += wh * factor
    total = sum(by_hour) or 1.0
    night = sum(by_hour[hour] for hour in (22, 23, 0, 1, 2, 3, 4, 5))
    shown = sorted(months.items())[-MANY:]
    return {
        "readings": len(hours),
        "bars": _bars(shown),
        "night_percent": round(100 * night / total),
        "tip": advice(by_hour, dict(shown)),
        "bills": [_bill(summary) for summary in feed.iterfind(".//e:UsageSummary", NS)],
    }


def _wh(reading: Any) -> int:
    return int(reading.findtext("e:value", "0", NS))


def _bars(months: list[tuple[str, float]]) -> list[Json]:
    tallest = max((kwh for _, kwh in months), default=1.0) or 1.0
    return [
        {"month": month, "kwh": round(kwh), "height": round(kwh / tallest * CHART_HEIGHT, 1), "x": 10 + 46 * index}
        for index, (month, kwh) in enumerate(months)
    ]


def advice(by_hour: list[float], months: dict[str, float]) -> str:
    """Which of the three tips fits: an idle load, a heavy winter, or a busy evening."""
    mean = sum(by_hour) / 24 or 1.0
    if min(by_hour) > 0.55 * mean:
        return "tip_idle"
    winter = [kwh for month, kwh in months.items() if month[5:] in ("12", "01", "02")]
    summer = [kwh for month, kwh in months.items() if month[5:] in ("06", "07", "08")]
    if winter and summer and sum(winter) / len(winter) > 1.8 * sum(summer) / len(summer):
        return "tip_heating"
    return "tip_shift"


def _bill(summary: Any) -> Json:
    """One statement. Money is in hundred-thousandths of the currency; the start of a month lies a day before in UTC."""
    start = int(summary.findtext("e:billingPeriod/e:start", "0", NS))
    amount = summary.findtext("e:billLastPeriod", None, NS)
    wh = summary.findtext("e:overallConsumptionLastPeriod/e:value", None, NS)
    return {
        "month": f"{datetime.fromtimestamp(start, UTC) + timedelta(hours=12):%Y-%m}",
        "kwh": round(int(wh) / 1000) if wh else None,
        "amount": f"{int(amount) / 100_000:.2f} €" if amount else None,
    }


SITE = Site("watt_coach", 8411, DECLARED, load, WORDS)

if __name__ == "__main__":
    serve(SITE)

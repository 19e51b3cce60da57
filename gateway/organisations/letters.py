"""What an organisation's contact is told of its answers: places, counts and dates, in both languages, never a value.

It has no account at the gateway, so whoever runs the gateway sends it.
"""

from collections.abc import Sequence
from datetime import datetime

from gateway.organisations.tables import Undeclared
from gateway.organisations.views import OrganisationView

# subject and greeting; what is left out, what was refused; one place; how many; the end; how a day is written
_WORDS = {
    "fr": (
        "Objet : vos réponses et votre déclaration\n\nBonjour,",
        "Vos réponses contiennent des membres que votre déclaration ne connaît pas. Ils ne sont donnés à personne :",
        "Des réponses ont été refusées à cause de ce qui se trouve ou manque à ces places. Personne ne les a eues :",
        "  {place} ({data}) : {count}, depuis le {first}, la dernière fois le {last}",
        ("{count} réponse", "{count} réponses"),
        "Ces places sont des noms de membres, jamais des valeurs. Dites-nous ce qu’ils sont, et s’il faut les donner.",
        "%d/%m/%Y",
    ),
    "en": (
        "Subject: your answers and your declaration\n\nHello,",
        "Your answers have members that your declaration does not know. They are given to nobody:",
        "Answers were refused because of what stands, or is missing, at these places. Nobody has got them:",
        "  {place} ({data}): {count}, since {first}, last on {last}",
        ("{count} answer", "{count} answers"),
        "These places are names of members, never values. Tell us what they are, and whether they should be given.",
        "%-d %B %Y",
    ),
}


def letter(view: OrganisationView, rows: Sequence[Undeclared]) -> str:
    """A message to the organisation's contact about what `undeclared.all_of` has of it."""
    return "\n\n".join([view.contact["privacy"], *(_in(language, rows) for language in _WORDS)]) + "\n"


def _in(language: str, rows: Sequence[Undeclared]) -> str:
    greeting, left_out, refused, line, counts, end, form = _WORDS[language]

    def told(row: Undeclared) -> str:
        count = counts[row.answers != 1].format(count=row.answers)
        first, last = (_day(at, form) for at in (row.first_at, row.last_at))
        return line.format(place=row.place, data=row.dataset, count=count, first=first, last=last)

    parts = [greeting]
    for heading, some in ((left_out, [r for r in rows if not r.refused]), (refused, [r for r in rows if r.refused])):
        if some:
            parts.append("\n".join([heading, *map(told, some)]))
    return "\n\n".join([*parts, end])


def _day(at: datetime, form: str) -> str:
    return at.strftime(form)

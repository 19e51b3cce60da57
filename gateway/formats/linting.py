"""What is allowed in a format and its types of data, and risky all the same: told before anybody's data is in it.

    risks()   each place, what is risky there and what would be better      WHY   rule → why it matters, one sentence

Names only suggest what a member holds, so nothing here is a fault: `gateway.formats.checking` has those.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.catalogue import fields as governing
from gateway.catalogue import shapes
from gateway.catalogue.datasets import Dataset, Field, Member
from gateway.catalogue.formats import PLACED, Format, FormatCall, along
from gateway.catalogue.words import Words
from gateway.settings import LANGUAGES

MOST_MEMBERS = 12  # of one field: as many as a person can think of as one thing
MOST_WORDS = 20  # of one sentence
TO_FILL = "TO FILL"  # in a draft: the operator has not written this yet

WHY: Mapping[str, str] = {
    "free-text": "People write names, addresses and illnesses into free text, and nobody chose to share those.",
    "text-unsaid": "Whoever agrees to this field must read on the screen that free text goes with it.",
    "identifier": "By an identifier that is the same for all, two apps can put together what they know of a person.",
    "json": "Everything inside leaves, also what the organisation adds to it next year.",
    "no-choice": "With nothing to leave out, a person can only refuse the whole type of data.",
    "many-members": "A person cannot picture so much as one thing, and an app that needs one of them gets all.",
    "sensitivity": "Sensitivity decides how the consent screen warns, and whether a fresh sign-in is asked for.",
    "no-time": "Without a time of its own every record is given, however old, whatever period was agreed.",
    "may-widen": "Such a parameter may make the organisation answer with more than the person agreed to.",
    "one-page": "Asked for page 2 of what has one page, many an API gives the first again, and again.",
    "no-next": "Only the first page would ever be given, and a total would be of that page alone.",
    "any-id": "A key for everybody opens everybody's records: an organisation that does not compare would answer for"
    " an id that is another customer's.",
    "no-account": "The gateway cannot see whose such a record is, and relies on the organisation's answer alone.",
    "other-account": "What names no account of hers is left out, every record of it, or its answer is refused.",
    "accounts-unknown": "A link would know one account, called self: where the organisation has none of that name,"
    " nothing is ever given.",
    "no-call": "People can agree to this type of data, and no app can ever get it.",
    "same-words": "Half of the readers get a text that is not in their language.",
    "long-sentence": "A consent screen is read in seconds: long sentences are skipped.",
    "unused-type": "What is in no answer is mostly a mistyped name, or a member that was forgotten.",
    "folder": "A folder that is not there is told nowhere but in the server's log, and nothing is taken in.",
    "guessed": "A draft guesses from names; only you know what the members hold.",
}


@dataclass(frozen=True, slots=True)
class Risk:
    """`key`: as in a Fault, below the type of data or the format. `member`: of the line of shapes that is meant."""

    rule: str
    dataset: str  # "": of the format
    key: str
    what: str
    better: str
    member: str = ""


def risks(form: Format | None, datasets: Mapping[str, Dataset]) -> Iterator[Risk]:
    """Of the types of data of this format, whose shapes have no fault. None: only of their words."""
    for dataset in datasets.values():
        yield from _of_words(dataset)
        if all(field.structural for field in dataset.fields.values()):
            better = "make what an app may do without a field with structural = false"
            yield Risk("no-choice", dataset.id, "field", "every field is always given (structural)", better)
    if form is None or not form.described:
        return
    of = _Of(form, datasets)
    for dataset in datasets.values():
        for field in dataset.fields.values():
            yield from of.field(dataset, field)
    yield from of.around()
    for check in (_unused, _timeless, _widening, _one_page, _no_next, _ownerless, _other_account):
        yield from check(form)


# ---- words that people read


def _of_words(dataset: Dataset) -> Iterator[Risk]:
    whole = {"label": dataset.label, "short": dataset.short, "long": dataset.long}
    whole |= {"account": dataset.account, "time": dataset.time}
    yield from _texts(dataset.id, "", whole)
    for field in dataset.fields.values():
        texts = {"label": field.label, "short": field.short, "comes_with": field.comes_with or {}}
        yield from _texts(dataset.id, f"{field.id}.", texts)


def _texts(dataset: str, place: str, texts: Mapping[str, Words]) -> Iterator[Risk]:
    for key, words in texts.items():
        written = {name: words.get(name, "") for name in LANGUAGES}
        if any(TO_FILL in text for text in written.values()):
            continue
        if len(set(written.values())) == 1 and any(written.values()):
            what = f"{' and '.join(LANGUAGES)} are the same: {next(iter(written.values()))!r}"
            yield Risk("same-words", dataset, place + key, what, "translate it, unless the word is the same in both")
        for name, text in written.items():
            count = max(map(_words, re.split(r"[.!?]+(?:\s|$)", text)))
            if count > MOST_WORDS:
                what = f"a sentence of {count} words ({name})"
                yield Risk("long-sentence", dataset, place + key, what, f"make two of it: {MOST_WORDS} at most")


def _words(sentence: str) -> int:
    return sum(any(letter.isalnum() for letter in word) for word in sentence.split())


# ---- what the name of a member suggests


def tokens(name: str) -> list[str]:
    """The words in a name, in small letters without accents: "clientPhone_no" → client, phone, no."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", plain)]


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CUSTOMERS = _set(
    "customer client person user member holder subscriber patient abonne usager adherent assure titulaire"
)
_IDENTIFIES = _set(
    "id ids uuid guid iban bban pan msisdn imsi imei iccid email mail courriel phone telephone tel mobile ssn nir "
    "siret passport client clientid customer customerid contract contractid contrat subscriber subscriberid abonne "
    "account accountid accountnumber holder titulaire owner user userid username login person personid patient "
    "patientid member memberid number numero num no nr ref reference matricule plate partner caller callee payee payer "
    "firstname lastname surname prenom phonenumber customernumber contractnumber"
)
_ONLY_TELLS_OF_IT = _set(
    "type kind status state category segment count currency class format date time at of label total balance amount "
    "value unit flag enabled"
)  # as the last word: "accountType" is no identifier; and "numberOfCalls" is none
_TIMES = _set("date time timestamp datetime instant day heure horodatage begin start end")
_NO_TIMES = _set("birth naissance opening expiry maturity zone of life")
_SPECIAL = {
    "health": _set(
        "health diagnosis diagnoses diagnostic disease illness drug medication medicine allergy blood symptom "
        "treatment prescription pathology sante maladie medicament vaccine vaccination disability handicap pregnancy"
    ),
    "location": _set(
        "latitude longitude lat lon lng geo gps coordinates coordinate location position cell antenna address adresse "
        "street rue postcode postal zip city ville"
    ),
    "money": _set("iban bban pan card balance solde salary salaire income revenu"),
    "identity": _set("ssn nir passport birth birthdate naissance biometric fingerprint"),
    "beliefs": _set("religion religious political ethnic ethnicity sexual orientation union"),
}
_WIDENS = _set(
    "with include includes expand embed all full detail details extended extension view depth scope show history "
    "deleted inactive verbose fields level related children"
)
_WIDE_VALUES = _set("true all full yes on 1 * extended detailed")
_SAYS_TEXT = {
    "fr": _set("texte libelle commentaire note message libre noms nom description remarque motif objet ecrit ecrite"),
    "en": _set("text description comment comments note notes message free names name remark reason subject written"),
}


def is_identifier(name: str) -> bool:
    words = tokens(name)
    tells = set(words[-1:]) & _ONLY_TELLS_OF_IT or set(words) & {"of", "type", "status", "category"}
    return bool(_IDENTIFIES & set(words)) and not tells


def _is_time(name: str) -> bool:
    words = set(tokens(name))
    return bool(_TIMES & words) and not _NO_TIMES & words


def _suggests(name: str) -> str:
    words = set(tokens(name))
    return next((what for what, known in _SPECIAL.items() if known & words), "")


# ---- fields and what leaves with them


class _Of:
    def __init__(self, form: Format, datasets: Mapping[str, Dataset]) -> None:
        self.form = form
        self.governed = governing.governed(form.id, datasets, form)
        self.judged = {member for dataset in datasets for member in form.needed(dataset)}

    def leaving(self, member: Member) -> Iterator[tuple[Member, str]]:
        """(member, word) of each value that leaves with a member: it, or everything in a type that no field governs."""
        kind, name = member
        word = shapes.inner(shapes.members(self.form.shapes, kind).get(name, "-")) if kind in self.form.shapes else "-"
        if word in self.form.shapes:
            if word not in self.governed:
                for each in shapes.members(self.form.shapes, word):
                    yield from self.leaving((word, each))
        elif word not in shapes.NEVER:
            yield member, word

    def field(self, dataset: Dataset, field: Field) -> Iterator[Risk]:
        found = dict(each for member in sorted(field.find | field.shared) for each in self.leaving(member))
        for rule, what, better in (*self._words(field, found), *self._names(dataset, field, found)):
            yield Risk(rule, dataset.id, field.id, what, better)
        named = len(field.find | field.shared)
        if named > MOST_MEMBERS:
            better = f"make several fields of it, of {MOST_MEMBERS} members at most"
            yield Risk("many-members", dataset.id, field.id, f"one field of {named} members", better)

    def _words(self, field: Field, found: Mapping[Member, str]) -> Iterator[tuple[str, str, str]]:
        texts = _listed(member for member, word in found.items() if word == "x")
        anything = _listed(member for member, word in found.items() if word == "j")
        if texts and field.structural:
            better = "put it into a field of its own, which people can leave out"
            yield "free-text", f"{texts}: free text in a field that is always given", better
        elif texts and (silent := _silent(field)):
            better = "say so: The text of it. It may contain names."
            yield "text-unsaid", f"{texts}: free text, and label and short do not say so ({', '.join(silent)})", better
        if anything:
            better = "name what is inside as a type of its own, or write - for what nobody needs"
            yield "json", f"{anything}: given whole (j)", better

    def _names(self, dataset: Dataset, field: Field, found: Mapping[Member, str]) -> Iterator[tuple[str, str, str]]:
        named = (
            (kind, name)
            for (kind, name), word in found.items()
            if word in ("s", "i", "v") and is_identifier(name) and (kind, name) not in self.judged
        )
        if field.structural and (identifiers := _listed(named)):
            better = (
                "write p in its shape, so that each app gets another one, or move it to a field people can leave out"
            )
            yield "identifier", f"{identifiers}: looks like an identifier, in a field that is always given", better
        if field.sensitivity == "none":
            held = {member: told for member in found if (told := _suggests(member[1]))}
            if held:
                what = (
                    f"{_listed(held)}: sounds like {' and '.join(sorted(set(held.values())))}, and sensitivity is none"
                )
                yield "sensitivity", what, 'write sensitivity = "sensitive" or "special"'

    def around(self) -> Iterator[Risk]:
        """Beside the records: what has a rule there is given with every field."""
        for member, rule in self.form.around.items():
            if rule != "same":
                continue
            key = f"around.{'/'.join(member)}"
            for (kind, name), word in self.leaving(member):
                told = {"x": ("free-text", "free text"), "j": ("json", "any JSON")}.get(word)
                if told is None and word in ("s", "i", "v") and is_identifier(name):
                    told = "identifier", "what looks like an identifier"
                if told is not None:
                    yield Risk(told[0], "", key, f"{kind}/{name}: {told[1]} leaves with every answer", "leave it out")


def _silent(field: Field) -> list[str]:
    """The languages in which neither label nor short speaks of a text."""
    texts = {name: f"{field.label.get(name, '')} {field.short.get(name, '')}" for name in LANGUAGES}
    return [name for name, text in texts.items() if TO_FILL not in text and not _SAYS_TEXT[name] & set(tokens(text))]


def _listed(members: Iterable[Member], most: int = 4) -> str:
    found = ["/".join(member) for member in members]
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


# ---- the format's own tables


def _unused(form: Format) -> Iterator[Risk]:
    used: set[str] = set()
    answers = [call.answer.kind for call in form.calls.values() if call.answer is not None]
    for root in (*(call.envelope for call in form.calls.values()), *form.records, *answers):
        if root in form.shapes:
            used.update(shapes.reached(form.shapes, root))
    for kind in form.shapes:
        if kind not in used:
            yield Risk("unused-type", "", f"shapes.{kind}", "no answer and no record has it", "use it, or leave it out")


def _timeless(form: Format) -> Iterator[Risk]:
    states = form.calls[form.accounts.call].records if form.accounts and form.accounts.call in form.calls else ""
    for kind, records in form.records.items():
        if records.time.how != "none" or kind == states or kind not in form.shapes:
            continue
        known = shapes.members(form.shapes, kind)
        found = [name for name, word in known.items() if word in ("s", "i", "v", "n") and _is_time(name)]
        if found:
            what = f"no time of its own, and {', '.join(found[:4])} looks like one"
            yield Risk("no-time", "", f"records.{kind}", what, f'write instant = "{found[0]}" if that is its time')


def _widening(form: Format) -> Iterator[Risk]:
    for name, parameter in form.parameters.items():
        if parameter.use == "choice" and not parameter.needs and _widens(name, parameter.values):
            better = 'write needs = "FIELD": it is then refused without that field'
            what = f"{' or '.join(parameter.values[:4])} may ask for more"
            yield Risk("may-widen", "", f"parameters.{name}", what, better)


def _one_page(form: Format) -> Iterator[Risk]:
    pages = form.pages
    if pages is None or pages.by not in ("page", "offset"):
        return
    with_it = {name for name, call in form.calls.items() if pages.parameter in (*call.query, *call.placed)}
    for name, call in form.calls.items() if with_it else ():
        if call.pages and name not in with_it and call.answer is None:
            what = f"it takes no {pages.parameter}, as {sorted(with_it)[0]} does"
            better = f"write pages = false, or {pages.parameter} into its query"
            yield Risk("one-page", "", f"calls.{name}", what, better)


def _no_next(form: Format) -> Iterator[Risk]:
    """Calls that follow pages by a member which their answers do not have."""
    pages = form.pages
    if pages is None or pages.by not in ("link", "cursor") or form.driver not in ("json", "xml"):
        return
    for name, call in form.calls.items():
        if call.pages and along(form.shapes, form.root(call), pages.at) is None:
            what = f"its answer, {form.root(call)}, has no {'.'.join(pages.at)}, by which pages follow"
            yield Risk("no-next", "", f"calls.{name}", what, "write pages = false, or the member into its envelope")


def _widens(name: str, values: Iterable[str]) -> bool:
    return bool(_WIDENS & set(tokens(name)) or _WIDE_VALUES & {value.lower() for value in values})


def _ownerless(form: Format) -> Iterator[Risk]:
    if form.accounts is None or any(rule == "account" for rule in form.around.values()):
        return
    for kind, records in form.records.items():
        if not along(form.shapes, kind, records.account) and not records.of_person:
            better = 'write account = "MEMBER", if the record names it; or whose = "person", if it is of no account'
            yield Risk("no-account", "", f"records.{kind}", "nothing in the record says whose it is", better)


def _other_account(form: Format) -> Iterator[Risk]:
    """Records and answers that name a customer, where the accounts are something that a customer has several of."""
    if form.accounts is None or _names_customer(form.accounts.native):
        return
    known = ".".join(form.accounts.native)
    what = f"says whose it is by {{}}, and accounts are known by {known}"
    better = (
        f'if the two are not one number: whose = "person", and no rule "account" in [format.around]; or name {known}'
    )
    for kind, records in form.records.items():
        if _names_customer(records.account):
            yield Risk("other-account", "", f"records.{kind}", what.format(".".join(records.account)), better)
    for (kind, name), rule in form.around.items():
        if rule == "account" and _names_customer((name,)):
            yield Risk("other-account", "", f"around.{kind}/{name}", what.format(name), better)


def _names_customer(path: Sequence[str]) -> bool:
    return bool(path) and bool(_CUSTOMERS & set(tokens(path[-1])))


# ---- accounts that a link has to know


def naming(form: Format, call: FormatCall) -> str:
    """Where a call or its answer names an account, as the file writes it; "": nowhere."""
    records = form.records.get(call.records)
    if call.names_account:
        return f"calls.{call.name} has {{account}}"
    if records is None:
        return ""
    if records.account:
        return f'records.{call.records} has account = "{".".join(records.account)}"'
    around = ["/".join(member) for member in _said_around(form, call)]
    return f'around has "{around[0]}" = "account"' if around else ""


def _said_around(form: Format, call: FormatCall) -> list[Member]:
    """The members around the records of a call that say whose the answer is."""
    if not form.place(call) or call.envelope not in form.shapes:
        return []
    reached = set(shapes.reached(form.shapes, call.envelope))
    return [member for member, rule in form.around.items() if rule == "account" and member[0] in reached]


def any_ids(form: Format) -> Iterator[Risk]:
    """Calls with an id of the app's choice, of which neither the call nor the answer says whose it is."""
    better = "name the account of [format.records], or say `account` in [format.around], or ask with {customer}"
    for call in form.calls.values():
        chosen = [word for word in PLACED.findall(call.path) if word != "account"]
        if chosen and not naming(form, call) and "customer" not in call.placed and call.records in form.records:
            what = f"an app may put any {' and '.join(chosen)} into its path, and nothing says whose it is"
            yield Risk("any-id", "", f"calls.{call.name}", what, better)


def accounts_unknown(form: Format, kind: str) -> Risk | None:
    """Of a format without a list of accounts, where links of this kind of connection know no customer number."""
    places = list(dict.fromkeys(filter(None, (naming(form, call) for call in form.calls.values()))))
    if not places:
        return None
    natives = [".".join(each.account) for each in form.records.values() if each.account]
    native = f'"{natives[0]}"' if natives else '"MEMBER"'
    more = f" and {len(places) - 2} more" if len(places) > 2 else ""
    what = f"is missing, and links of kind {kind} know no account without it: {', '.join(places[:2])}{more}"
    better = f'write call = "CALL", the call that lists a person\'s accounts, and native = {native}'
    return Risk("accounts-unknown", "", "accounts", what, better)

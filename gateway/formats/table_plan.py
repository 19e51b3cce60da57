"""What all formats that tables describe have in common: one grant at one organisation, whatever its answers look like.

request   the same for all (`calls`)          cut   by `json_plan`, `csv_plan`, `xml_plan`
"""

from collections.abc import Iterable, Mapping

from gateway.catalogue.datasets import Dataset
from gateway.catalogue.formats import Format
from gateway.formats import paging
from gateway.formats.calls import Calls
from gateway.formats.drift import Seen
from gateway.formats.model import Asked, Denied, Granted, Source, Upstream
from gateway.formats.names import AccountNames
from gateway.formats.paging import TOKEN, Step
from gateway.formats.paths import declared
from gateway.formats.shapes import withheld_members
from gateway.ground.calendar.instants import Window


class TablePart:
    """One granted dataset."""

    def __init__(
        self, form: Format, granted: Granted, dataset: Dataset, governed: frozenset[str], seen: Seen | None
    ) -> None:
        self.dataset, self.pair = granted.dataset, granted.pair
        self.names = AccountNames(granted.accounts, others=granted.others)
        self.fields = frozenset(dataset.given(granted.fields))
        self.governed = governed.intersection(form.shapes)  # with `&` of its keys it would be no frozenset
        self.given = frozenset(dataset.members(granted.fields))
        self.withheld = frozenset(withheld_members(form.shapes, self.governed, self.given))
        self.numbers = tuple(f'"{name}":'.encode() for kind, name in form.numbers if (kind, name) in self.given)
        dropped = dataset.drops_records(granted.fields) or self._lacks(form, "drop_record")
        self.records_max = 0 if dropped else granted.records_max
        self.refused = self._lacks(form, "refuse")
        self.seen = seen

    def _lacks(self, form: Format, way: str) -> bool:
        """Whether a member is withheld without which this happens."""
        return any(kept == way and member in self.withheld for member, kept in form.required.items())

    def refs(self, sent: Upstream) -> Mapping[str, str]:
        """The organisation's account number → the app's reference, for the accounts that this call may return."""
        if len(sent.accounts) == len(self.names.accounts):
            return self.names.ref
        return {account.native: self.names.ref[account.native] for account in sent.accounts}


class TablePlan:
    """Of one format. The classes below add how an answer is cut."""

    def __init__(
        self,
        form: Format,
        source: Source,
        granted: Iterable[Granted],
        datasets: Mapping[str, Dataset],
        governed: frozenset[str],
    ) -> None:
        self.form, self.source = form, source
        self.calls = Calls(form, source)
        self.parts = {
            item.dataset: TablePart(form, item, datasets[item.dataset], governed, source.seen(item.dataset))
            for item in granted
            if item.dataset in datasets
        }

    def request(self, asked: Asked, window: Window) -> Upstream | Denied:
        found = self.calls.recognised(asked.path)
        if found is None:
            return Denied("dataset", "path", allowed=" ".join(self.parts))
        dataset = found.call.dataset
        part = self.parts.get(dataset)
        if part is None or not declared(self.source, dataset, asked.path):
            return Denied("dataset", "datasets", asked=dataset, allowed=" ".join(self.parts))
        if part.refused:
            return Denied("field", "fields", asked=dataset, allowed=" ".join(sorted(part.fields)))
        return self.calls.upstream(found, part.names, asked, window, part.fields)

    def leads_on(self, sent: Upstream, led: str, link: str, count: int) -> Step | None:
        """The call for the next page; None: there is none. `led`: what the member says that leads on. Raises
        Unusable."""
        pages = self.form.pages
        if pages is None:
            return None
        if pages.by == "link-header":
            led = paging.of_header(link)
        if pages.by in ("link-header", "link"):
            return paging.of_address(self.source, sent, led) if led else None
        if pages.by == "cursor":
            return ("", paging.instead(sent, pages.parameter, led)) if led else None
        after = paging.by_number(pages, sent, count)
        return None if after is None else ("", after)

    def following(self, part: TablePart, sent: Upstream, step: Step | None) -> str:
        """The token of the next page; "": there is none, or the organisation leads back to this one."""
        call = self.form.calls[sent.operation]
        if step is None or (step[1] and set(step[1]) == set(sent.page) and step[0] in ("", sent.path)):
            return ""
        return self.calls.token(call, part.names, sent, step)

    def address(self, part: TablePart, sent: Upstream, token: str) -> str:
        """Of the page with this token at the gateway."""
        query = ((TOKEN, token),) if token else ()
        return self.calls.address(self.form.calls[sent.operation], part.names, sent, query)

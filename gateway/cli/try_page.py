"""A trial as one page: no script, one style sheet inside, and a policy that allows nothing else."""

import base64
import functools
import hashlib
import re
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gateway.cli import try_told
from gateway.organisations import trying
from gateway.settings import LANGUAGES

if TYPE_CHECKING:
    from gateway.formats.trials import Trial, TrialTerms
    from gateway.organisations.trying import Prepared

SAID = {"same": "as it was", "changed": "changed", "withheld": "does not leave", "added": "added by the gateway"}
SIGNS = {"same": "=", "changed": "≈", "withheld": "✕", "added": "+"}
MOST = 200  # records shown: a page must open


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("gateway.cli", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(prepared: "Prepared", trials: "list[tuple[str, Trial]]", terms: "TrialTerms") -> str:
    source, _, _ = _environment().loader.get_source(_environment(), "try.css")  # type: ignore[union-attr]  # set above
    style = re.sub(r"\n\s*", "\n", source).strip()
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        _environment()
        .get_template("try.html")
        .render(
            prepared=prepared,
            trials=trials,
            terms=terms,
            told=try_told,
            warnings=trying.warnings,
            said=SAID,
            signs=SIGNS,
            languages=LANGUAGES,
            most=MOST,
            style=Markup(style),
            policy=f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'",
        )
    )

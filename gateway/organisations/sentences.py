"""What pages say when something failed: one whole sentence per reason, with the organisation's name in it.

English texts are the message ids; French is in the room's catalogue.
"""

from collections.abc import Mapping
from gettext import NullTranslations

from gateway.ground.web.marks import N_

# reason → (status of the page, sentence)
FAILED: Mapping[str, tuple[int, str]] = {
    "organisation_unavailable": (502, N_("{organisation} did not answer. Nothing was changed. Try again later.")),
    "organisation_slow": (504, N_("{organisation} did not answer in time. Nothing was changed. Try again later.")),
    "organisation_refused": (502, N_("{organisation} refused the request. Nothing was changed.")),
    "organisation_answer_invalid": (502, N_("{organisation} gave an answer that cannot be read. Nothing was changed.")),
    "no_data": (200, N_("{organisation} has given no data at the moment. It gives files from time to time.")),
    "too_large": (502, N_("The answer of {organisation} is larger than this service carries. Nothing was changed.")),
    "busy": (503, N_("{organisation} is being asked too often at the moment. Try again in a few minutes.")),
    "crowded": (
        503,
        N_(
            "Too many people are waiting for {organisation} at the moment. Nothing was changed. "
            "Try again in a minute; everything else here works as usual."
        ),
    ),
    "suspended": (403, N_("{organisation} is suspended here at the moment, so nothing can be asked of it.")),
    "not_linked": (409, N_("Your account at {organisation} is not linked any more. Link it again first.")),
    "declined": (200, N_("You chose not to link your account at {organisation}. Nothing was changed.")),
    "expired": (410, N_("This attempt to link {organisation} has expired. Start again.")),
    "spent": (409, N_("This attempt to link {organisation} has already been used. Start again if it is not linked.")),
    "no_tries": (403, N_("The code was wrong too many times. Start again, and {organisation} sends a new code.")),
    "no_tries files": (403, N_("The code was wrong too many times. Start again with the code of {organisation}.")),
    "unread": (200, N_("Your account at {organisation} is linked, but your accounts there could not be read yet.")),
}
OTHERWISE = "organisation_unavailable"


def failed(reason: str, organisation: str, words: NullTranslations, kind: str = "") -> tuple[int, str]:
    """(status, sentence in the reader's language). `kind`: of the connection, where the sentence is another by it."""
    status, text = FAILED.get(f"{reason} {kind}") or FAILED.get(reason, FAILED[OTHERWISE])
    return status, words.gettext(text).format(organisation=organisation)

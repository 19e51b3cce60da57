"""Asking an app to delete what it has received under a sharing that has ended (GDPR art. 17).

The request is an event of the consent, with a log entry, and can be made once. The gateway does not send it to the
app and says so: the person gets a letter to send. Only the app can say whether it has deleted the data.
"""

from datetime import datetime
from urllib.parse import quote

from sqlmodel import Session, select

from gateway.consent import deciding, events
from gateway.consent.actors import Actor
from gateway.consent.rules import Act, State
from gateway.consent.tables import Consent, ConsentEvent
from gateway.consent.words import Wording
from gateway.ground.web.marks import N_
from gateway.log import Log


def ask(session: Session, log: Log, consent: Consent, actor: Actor, now: datetime) -> bool:
    """Record the request. False: nothing was ever agreed, the sharing has not ended, or it was asked before."""
    log.turn(session, consent.person_id)
    if consent.state != State.ENDED or not consent.version or asked_at(session, consent.id):
        return False
    events.append(session, consent, Act.ERASURE_ASKED, actor, now)
    deciding.record_erasure_asked(session, log, consent, actor, now)
    return True


def asked_at(session: Session, consent_id: str) -> datetime | None:
    found = select(ConsentEvent.at).where(ConsentEvent.consent_id == consent_id, ConsentEvent.type == Act.ERASURE_ASKED)
    return session.exec(found).first()


def letter(say: Wording, contact: str, app: str, operator: str, consent: Consent) -> str:
    """A mailto: address that opens a mail with the request. If `contact` is a web address, it is returned as it is."""
    if "@" not in contact or contact.startswith("http"):
        return contact
    subject = say(N_("Deletion of my data, reference %(id)s"), id=consent.id)
    body = say(
        N_(
            "I stopped sharing data with %(app)s through %(operator)s on %(day)s. Please delete what you received "
            "under this sharing (GDPR, article 17). Please tell me when it is done. Reference: %(id)s"
        ),
        app=app,
        operator=operator,
        day=say.date(consent.ended_at),
        id=consent.id,
    )
    return f"mailto:{contact}?subject={quote(subject, safe='')}&body={quote(body, safe='')}"

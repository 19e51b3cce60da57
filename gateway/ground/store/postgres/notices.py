"""Notices of what a verdict on a data call rests on: sent by the database itself, in the transaction of the change, so
that no statement can forget them, whoever executes it.

The payload is a letter and an id: `c` and a consent, `p` and a person, `d` for the directory. A notice only makes
other processes look again; nothing that is recorded as given rests on its having come.

Yet until it has come, a process might still ask an organisation for data that nobody may have any more. So whoever ends
something asks, once that is committed, whether all others have heard (`a` and a name of the question), and they answer
on a channel of its own; notices arrive in the order of the commits, so whoever has this one has had those before. Who
does not answer is waited for as long as any process believes what it remembers without having heard from the database
(BELIEVED_SECONDS): after that it asks the database itself. So does a process that cannot say that it lives, because
nobody waits for it.
"""

import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

import psycopg

from gateway.ground.store.postgres.patient import Patient, opened

CHANNEL = "aval_changed"
HEARD = "aval_heard"
BELIEVED_SECONDS = 2.5
ASKING = 4  # ask at a time, each on a connection of its own; the others wait for a place
LIVING = "SELECT id FROM process WHERE seen_at > now() - interval '10 s' AND id <> %s"
# Whether others know that this process lives, with room for two beats: whoever ends something waits for its answer.
HEARS = """
    SELECT d.generation, EXISTS (SELECT 1 FROM process WHERE id = $1 AND seen_at > now() - interval '7 s')
      FROM (SELECT 1) AS always LEFT JOIN directory d ON d.id = 1"""
_SENDS = f"""
    CREATE FUNCTION aval_notice() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_TABLE_NAME = 'consent' THEN PERFORM pg_notify('{CHANNEL}', 'c' || NEW.id);
        ELSIF TG_TABLE_NAME = 'tokenfamily' THEN PERFORM pg_notify('{CHANNEL}', 'c' || NEW.consent_id);
        ELSIF TG_TABLE_NAME = 'link' THEN PERFORM pg_notify('{CHANNEL}', 'p' || NEW.person_id);
        ELSIF TG_TABLE_NAME = 'person' THEN PERFORM pg_notify('{CHANNEL}', 'p' || NEW.id);
        ELSE PERFORM pg_notify('{CHANNEL}', 'd');
        END IF;
        RETURN NULL;
    END $$"""
_ON = {
    "consent": (
        "UPDATE",
        "(OLD.state, OLD.reason, OLD.generation) IS DISTINCT FROM (NEW.state, NEW.reason, NEW.generation)",
    ),
    "tokenfamily": ("UPDATE", "OLD.ended_at IS DISTINCT FROM NEW.ended_at"),
    "person": ("UPDATE", "OLD.birth_date IS DISTINCT FROM NEW.birth_date"),
    "link": ("INSERT OR UPDATE", "true"),
    "directory": ("INSERT OR UPDATE", "true"),
}
STATEMENTS = (
    _SENDS,
    *(
        f"CREATE TRIGGER aval_notice AFTER {event} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION aval_notice()"
        for table, (event, when) in _ON.items()
    ),
)

_places = threading.Semaphore(ASKING)


def heard(parameters: Mapping[str, Any], process: str) -> None:
    """Returns when no other process acts on what it knew before this moment. Never fails, since what was ended is
    committed: it waits instead, for as long as anybody may believe what has ended, however the server behaves.

    `parameters`: of a session of its own, past any pooler. `process`: the one that asks.
    """
    until = time.monotonic() + BELIEVED_SECONDS
    if not _places.acquire(timeout=BELIEVED_SECONDS):
        return  # all that time has passed
    all_have = threading.Event()

    def ask() -> None:
        try:
            with opened(parameters, autocommit=True) as asking:
                if _all_heard(asking, process, until):
                    all_have.set()
        except psycopg.Error:
            pass  # whoever asked waits
        finally:
            _places.release()

    try:
        threading.Thread(target=ask, name="heard", daemon=True).start()
    except RuntimeError:  # no thread is to be had
        _places.release()
    all_have.wait(until - time.monotonic())


def _all_heard(asking: Patient, process: str, until: float) -> bool:
    others = {row[0] for row in asking.execute(LIVING, [process])}
    if not others:
        return True
    question = secrets.token_hex(8)
    asking.execute(f"LISTEN {HEARD}")
    asking.execute("SELECT pg_notify(%s, %s)", [CHANNEL, f"a{question}"])
    while (left := until - time.monotonic()) > 0:
        for answer in asking.notifies(timeout=left, stop_after=1):
            of, _, who = answer.payload.partition(" ")
            if of == question:
                others.discard(who)
        if not others:
            return True
    return False

"""Notices of what a verdict on a data call rests on: sent by the database itself, in the transaction of the change, so
that no statement can forget them, whoever executes it.

The payload is a letter and an id: `c` and a consent, `p` and a person, `d` for the directory. A notice only makes
other processes look again; nothing that is decided rests on its having come.
"""

CHANNEL = "aval_changed"
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

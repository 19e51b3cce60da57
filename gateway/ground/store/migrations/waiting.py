"""Each entry of the log waits for its index from the moment it is written. The database itself sees to it, so that no
statement can forget it. By dialect, for the first revision of the schema."""

WAITS = {
    "sqlite": (
        "CREATE TRIGGER IF NOT EXISTS logentry_waits AFTER INSERT ON logentry"
        " BEGIN INSERT INTO logwaiting VALUES (NEW.id); END",
    ),
    "postgresql": (
        "CREATE FUNCTION aval_waits() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO logwaiting SELECT id FROM entered; RETURN NULL; END $$",
        "CREATE TRIGGER logentry_waits AFTER INSERT ON logentry REFERENCING NEW TABLE AS entered"
        " FOR EACH STATEMENT EXECUTE FUNCTION aval_waits()",
    ),
}

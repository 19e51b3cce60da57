"""Python imports this at its start when its folder is on PYTHONPATH: all SQL of the process is written down.

One file for each process, in the folder that `RECORD_STATEMENTS` names; one line of JSON for each different statement.
"""

import json
import os
import threading
from pathlib import Path
from typing import Any

try:
    import pysqlite3 as sqlite3
except ImportError:
    import sqlite3

_seen: set[str] = set()
_lock = threading.Lock()
_file = Path(os.environ["RECORD_STATEMENTS"]) / f"{os.getpid()}.jsonl"


def _note(sql: str) -> None:
    with _lock:
        if sql not in _seen:
            _seen.add(sql)
            with _file.open("a") as file:
                file.write(json.dumps(sql) + "\n")


class Cursor(sqlite3.Cursor):
    def execute(self, sql: str, *values: Any) -> Any:
        _note(sql)
        return super().execute(sql, *values)

    def executemany(self, sql: str, values: Any) -> Any:
        _note(sql)
        return super().executemany(sql, values)


class Connection(sqlite3.Connection):
    def cursor(self, factory: Any = Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, *values: Any) -> Any:
        return self.cursor().execute(sql, *values)

    def executemany(self, sql: str, values: Any) -> Any:
        return self.cursor().executemany(sql, values)


_connect = sqlite3.connect


def connect(*given: Any, **named: Any) -> Any:
    return _connect(*given, **{"factory": Connection, **named})


sqlite3.connect = sqlite3.dbapi2.connect = connect

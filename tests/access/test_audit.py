from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, insert, select, update

from access.audit import Audit, hashed
from records.database import Database
from records.schema import AUDIT


@pytest.fixture
def audit(database: Database) -> Audit:
    made = Audit(database)
    for number in range(20):
        made.write("person:wang", "alarm.acknowledge", str(number), by="王芳", minutes=number)
    return made


def test_a_log_that_nobody_touched_holds(audit: Audit) -> None:
    verdict = audit.verify()
    assert (verdict.lines, verdict.broken) == (20, None)
    assert verdict.head == audit.newest(1)[0].hash
    assert audit.newest(2, before=10)[0].detail == {"by": "王芳", "minutes": 8}


@pytest.mark.parametrize(
    "values",
    [{"who": "person:li"}, {"what": "x"}, {"about": ""}, {"at_ns": 1}, {"detail": "{}"}, {"previous": "0" * 64},
     {"hash": "f" * 64}],
)  # fmt: skip
@pytest.mark.parametrize("number", [1, 7, 20])
def test_one_edited_line_is_found(audit: Audit, database: Database, values: Mapping[str, object], number: int) -> None:
    if number == 1 and "previous" in values:
        values = {"previous": "1" * 64}
    with database.begin() as connection:
        connection.execute(update(AUDIT).where(AUDIT.c.id == number).values(**values))
    verdict = audit.verify()
    assert (verdict.lines, verdict.broken) == (number - 1, number)


def test_a_line_that_is_taken_out_or_hashed_anew_is_found(audit: Audit, database: Database) -> None:
    with database.begin() as connection:
        row = dict(connection.execute(select(AUDIT).where(AUDIT.c.id == 7)).mappings().one())
        row["who"] = "person:li"
        connection.execute(delete(AUDIT).where(AUDIT.c.id == 7))
    assert audit.verify().broken == 8
    with database.begin() as connection:
        connection.execute(insert(AUDIT).values(**{**row, "hash": hashed(row)}))
    assert audit.verify().broken == 8


def test_many_write_at_once(database: Database) -> None:
    audits = [Audit(database) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: audits[number % 4].write("x", "y", str(number)), range(80)))
    verdict = audits[0].verify()
    assert (verdict.lines, verdict.broken) == (80, None)

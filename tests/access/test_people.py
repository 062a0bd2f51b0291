import pytest
from sqlalchemy import select

from access.callers import Grant, Scope
from access.doors import INSTALLATION, Doors
from access.errors import GrantError, ThrottledError, UnknownPersonError
from access.people import People
from access.sessions import DAYS
from records.database import Database
from records.errors import RecordsError
from records.schema import PEOPLE, SESSIONS
from tests.access.conftest import KEY, Clock
from tests.api.world import NOW_NS

GRANT = Grant(scopes=frozenset({Scope.READ, Scope.ACKNOWLEDGE}), compounds=frozenset({"jingyuan"}))
PASSWORD = "correct horse battery"


@pytest.fixture
def people(doors: Doors) -> People:
    assert doors.people is not None
    doors.people.add("wang", "王芳", GRANT, now_ns=NOW_NS, password=PASSWORD)
    return doors.people


def test_a_password_is_kept_as_argon2id(people: People, database: Database) -> None:
    with database.begin() as connection:
        kept = connection.execute(select(PEOPLE.c.password)).scalar_one()
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert people.check("wang", PASSWORD) is not None
    assert people.check("wang", PASSWORD + " ") is None
    assert people.check("nobody", PASSWORD) is None


@pytest.mark.parametrize(
    ("login", "name", "password"),
    [("wang", "x", PASSWORD), ("A", "x", PASSWORD), ("", "x", PASSWORD), ("li", "", PASSWORD), ("li", "x", "short"),
     ("li", "x", "y" * 257), ("li", "x", None)],
)  # fmt: skip
def test_who_cannot_be_added(people: People, login: str, name: str, password: str | None) -> None:
    with pytest.raises(GrantError):
        people.add(login, name, GRANT, now_ns=NOW_NS, password=password)


def test_nothing_is_done_that_cannot_be_written_down(people: People) -> None:
    called = []

    def first() -> None:
        called.append(1)
        raise RecordsError("the audit log cannot be written")

    with pytest.raises(RecordsError):
        people.add("li", "李强", GRANT, now_ns=NOW_NS, password=PASSWORD, first=first)
    assert [each.login for each in people.list()] == ["wang"]
    with pytest.raises(RecordsError):
        people.set_password("wang", "another long password", first=first)
    assert people.check("wang", PASSWORD) is not None
    assert len(called) == 2
    with pytest.raises(GrantError):  # and nothing is written down that is not done
        people.add("wang", "王芳", GRANT, now_ns=NOW_NS, password=PASSWORD, first=first)
    with pytest.raises(GrantError):
        people.set_password("wang", "short", first=first)
    assert len(called) == 2


def test_their_own_password_is_changed_by_who_knows_it(people: People, doors: Doors) -> None:
    found = doors.sign_in("wang", PASSWORD, "192.0.2.1")
    assert found is not None
    caller, cookie = found
    assert doors.has_password(caller)
    assert not doors.has_password(INSTALLATION)
    with pytest.raises(GrantError):
        doors.change_password(INSTALLATION, PASSWORD, "another long password", "192.0.2.1")
    with pytest.raises(GrantError):
        doors.change_password(caller, PASSWORD, "short", "192.0.2.1")
    assert not doors.change_password(caller, "wrong", "another long password", "192.0.2.1")
    assert doors.by_cookie(cookie) == caller
    assert doors.change_password(caller, PASSWORD, "another long password", "192.0.2.1")
    assert doors.by_cookie(cookie) is None
    assert people.check("wang", "another long password") is not None
    assert not doors.change_password(caller, "wrong", "another long password", "192.0.2.1")
    with pytest.raises(ThrottledError):  # the sixth try within a minute, with the one to sign in
        doors.change_password(caller, "another long password", "a third long password", "192.0.2.1")


def test_who_comes_by_the_provider_is_given_no_password(people: People, doors: Doors) -> None:
    person = people.add("li", "李强", GRANT, now_ns=NOW_NS, subject="s-1")
    assert not doors.has_password(person.caller)
    with pytest.raises(GrantError, match="provider"):
        people.set_password("li", PASSWORD)


@pytest.mark.usefixtures("people")
def test_somebody_signs_in_and_out(doors: Doors, database: Database, clock: Clock) -> None:
    found = doors.sign_in("wang", PASSWORD, "192.0.2.1")
    assert found is not None
    caller, cookie = found
    assert doors.by_cookie(cookie) == caller
    assert (caller.id, caller.name, caller.grant) == ("person:wang", "王芳", GRANT)
    with database.begin() as connection:
        assert cookie not in repr(connection.execute(select(SESSIONS)).all())
    assert doors.by_cookie(cookie + "x") is None
    assert doors.by_cookie(None) is None
    doors.sign_out(cookie)
    assert doors.by_cookie(cookie) is None
    again = doors.sign_in("wang", PASSWORD, "192.0.2.1")
    assert again is not None
    clock.now_ns += DAYS * 86_400 * 10**9
    assert doors.by_cookie(again[1]) is None


def test_who_is_disabled_is_out_at_once(doors: Doors, people: People) -> None:
    found = doors.sign_in("wang", PASSWORD, "192.0.2.1")
    assert found is not None
    people.disable("wang", now_ns=NOW_NS)
    assert doors.by_cookie(found[1]) is None
    assert doors.sign_in("wang", PASSWORD, "192.0.2.1") is None
    with pytest.raises(UnknownPersonError):
        people.disable("nobody", now_ns=NOW_NS)


def test_a_key_lets_a_screen_in_under_a_name(doors: Doors) -> None:
    found = doors.sign_in("Li Wei", KEY, "192.0.2.1")
    assert found is not None
    assert (found[0].id, found[0].name) == (INSTALLATION.id, "Li Wei")
    back = doors.by_cookie(found[1])
    assert back is not None
    assert back.name == "Li Wei"
    assert doors.keys is not None
    new = doors.keys.create("wall", GRANT, by="test", now_ns=NOW_NS)
    wall = doors.sign_in("Wall", new.text, "192.0.2.1")
    assert wall is not None
    assert wall[0].grant == GRANT
    doors.keys.revoke(new.key.id, now_ns=NOW_NS)
    assert doors.by_cookie(wall[1]) is None
    assert doors.sign_in("\n", KEY, "192.0.2.1") is None


@pytest.mark.usefixtures("people")
def test_tries_are_slowed_down_by_name_and_by_address(doors: Doors) -> None:
    for _ in range(5):
        assert doors.sign_in("wang", "a guess of many", "192.0.2.1") is None
    with pytest.raises(ThrottledError) as caught:
        doors.sign_in("wang", PASSWORD, "192.0.2.2")
    assert 1 <= caught.value.retry_after_s <= 120
    for number in range(20):
        assert doors.sign_in(f"somebody-{number}", KEY[:-1], "192.0.2.3") is None
    with pytest.raises(ThrottledError):
        doors.sign_in("somebody-else", KEY, "192.0.2.3")


@pytest.mark.usefixtures("people")
def test_what_happens_at_the_door_is_written_down(doors: Doors) -> None:
    assert doors.audit is not None
    found = doors.sign_in("wang", PASSWORD, "192.0.2.1")
    assert found is not None
    doors.sign_in("wang", "a guess of many", "192.0.2.1")
    doors.sign_in("a-password-in-the-wrong-field", "a guess of many", "192.0.2.1")
    doors.sign_out(found[1])
    lines = [(each.who, each.what, each.about) for each in doors.audit.newest(10)]
    assert lines == [
        ("person:wang", "sign_out", "王芳"),
        ("nobody", "sign_in.refused", "unknown"),
        ("nobody", "sign_in.refused", "wang"),
        ("person:wang", "sign_in", "王芳"),
    ]

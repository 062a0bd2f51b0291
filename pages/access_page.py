"""The page about who may see and do what: people and keys, for whoever may let others in."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from zoneinfo import ZoneInfo

from nicegui import ui
from starlette.requests import Request
from starlette.responses import Response

from access.callers import Grant, Scope
from access.doors import Doors
from access.keys import Key, is_good
from access.office import Office
from access.people import SHORTEST, Person, is_login, is_name
from api.service import Service
from api.times import rfc3339
from pages import views
from pages.assembly import Assembly, Visit, in_thread, to_sign_in
from pages.forms import BUTTON, FIELD, OTHER_BUTTON, attempted, field, secret, table, text

_SMALL = f"{OTHER_BUTTON} padding='2px 10px'"
_KEY_DAYS = 365

Act = Callable[[Office], object]


class AccessPage:
    """The page, for each who asks."""

    def __init__(self, service: Service, doors: Doors, assembly: Assembly) -> None:
        """Show whom `doors` let in."""
        self._service = service
        self._doors = doors
        self._assembly = assembly

    async def page(self, request: Request) -> Response | None:
        """People and keys; gone for whoever may let nobody in."""
        caller = self._assembly.caller(request)
        if caller is None:
            return to_sign_in(request)
        if Scope.ADMIN not in caller.grant.scopes or self._doors.people is None:
            return self._assembly.gone(request)
        mine = self._service.seen_by(caller)
        office = Office(self._doors, caller)

        async def lists(visit: Visit) -> None:
            people, keys = await in_thread(lambda: (office.list_people(), office.list_keys()))
            desk = _Desk(office, mine, visit)
            desk.head(is_open=self._doors.open)
            desk.people(people)
            desk.keys(keys, self._doors.clock())

        return await self._assembly.page(request, lambda tongue: tongue.word("access"), "access", lists)


class _Desk:
    """What stands on the page, and what its buttons do."""

    def __init__(self, office: Office, mine: Service, visit: Visit) -> None:
        self._office, self._mine, self._visit = office, mine, visit
        self._tongue = visit.tongue
        self._root = ui.element("div").style("display: none")
        inventory = mine.context.inventory
        self._compounds = {each.id: self._tongue.text(each.name) for each in inventory.compounds.values()}
        self._scopes = {str(scope): self._tongue.word(f"may_{scope}") for scope in Scope
                        if scope in mine.context.caller.grant.scopes}  # fmt: skip

    def head(self, *, is_open: bool) -> None:
        """The title, and what this is about."""
        if is_open:
            text(self._tongue.word("access_open"), "p", "notice")
        with ui.element("div").classes("head"):
            text(self._tongue.word("access"), "h1")
            text(self._tongue.word("access_hint"), "span", "pale")

    def people(self, found: Sequence[Person]) -> None:
        """Who may sign in."""
        word = self._tongue.word
        with ui.element("section").classes("card"):
            with ui.element("h2"):
                text(word("people"), "span")
                ui.button(word("add_person"), on_click=self._ask_person).props(_SMALL).classes("end")
            if not found:
                text(word("no_people"), "p", "pale")
                return
            heads = ("login", "name", "may", "where", "since", "comes_by", "state", "")
            with table([word(each) if each else "" for each in heads]):
                for each in found:
                    self._person(each)

    def _person(self, each: Person) -> None:
        word, gone = self._tongue.word, each.disabled_ns is not None
        with ui.element("tr").classes("stale" if gone else ""):
            text(each.login, "th")
            for said in (each.name, *self._said(each.grant), self._day(each.created_ns),
                         word("by_password") if each.subject is None else word("by_provider")):  # fmt: skip
                text(said, "td")
            text(word("shut_out") if gone else word("let_in"), "td", "pale" if gone else "good")
            with ui.element("td").classes("n"):
                if gone:
                    return
                with ui.element("div").classes("actions end"):
                    if each.subject is None:
                        self._button("new_password", each.name, partial(self._ask_password, each))
                    if each.caller.id != self._mine.context.caller.id:
                        self._button("shut_out_now", each.name, partial(self._ask_shut_out, each))

    def keys(self, found: Sequence[Key], now_ns: int) -> None:
        """The keys."""
        word = self._tongue.word
        with ui.element("section").classes("card"):
            with ui.element("h2"):
                text(word("keys"), "span")
                ui.button(word("make_key"), on_click=self._ask_key).props(_SMALL).classes("end")
            if not found:
                text(word("no_keys"), "p", "pale")
                return
            heads = ("used_for", "may", "where", "made_at", "by", "good_until", "state", "")
            with table([word(each) if each else "" for each in heads]):
                for each in found:
                    self._key(each, good=is_good(each, now_ns))

    def _key(self, each: Key, *, good: bool) -> None:
        word = self._tongue.word
        until = word("for_ever") if each.expires_ns is None else self._day(each.expires_ns)
        state = "accepted" if good else "expired" if each.revoked_ns is None else "revoked"
        with ui.element("tr").classes("" if good else "stale"):
            text(each.name, "th")
            for said in (*self._said(each.grant), self._day(each.created_ns), each.created_by.partition(":")[2] or
                         each.created_by, until):  # fmt: skip
                text(said, "td")
            text(word(state), "td", "good" if good else "pale")
            with ui.element("td").classes("n"):
                if good:
                    with ui.element("div").classes("actions end"):
                        self._button("revoke", each.name, partial(self._ask_revoke, each))

    def _button(self, what: str, about: str, act: Callable[[], object]) -> None:
        label = self._tongue.word(what)
        # Not as text, in which a name could end the attribute.
        ui.button(label, on_click=act).props(_SMALL).props["aria-label"] = f"{label}: {about}"

    def _ask_person(self) -> None:
        with self._dialog("add_person") as dialog:
            login = self._field("login", "autofocus", self._tongue.word("login_hint"))
            name = self._field("name", "")
            password = self._password()
            scopes, compounds = self._grant([Scope.READ, Scope.ACKNOWLEDGE])

            async def add() -> None:
                if self._is_wrong(login, name, password):
                    return
                await self._do(
                    lambda office: office.add_person(
                        (login.value or "").strip(), (name.value or "").strip(), scopes.value, compounds.value or None,
                        password=password.value or "",
                    )
                )  # fmt: skip

            self._end(dialog, "add_person", add)
        dialog.open()

    def _ask_password(self, person: Person) -> None:
        with self._dialog("new_password", person.name) as dialog:
            password = self._password()

            async def change() -> None:
                if self._is_wrong(None, None, password):
                    return
                await self._do(lambda office: office.set_password(person.login, password.value or ""))

            self._end(dialog, "new_password", change)
        dialog.open()

    def _ask_shut_out(self, person: Person) -> None:
        self._confirm("shut_out_now", person.name, "shut_out_hint", lambda office: office.disable(person.login))

    def _ask_revoke(self, key: Key) -> None:
        self._confirm("revoke", key.name, "revoke_hint", lambda office: office.revoke_key(key.id))

    def _ask_key(self) -> None:
        with self._dialog("make_key") as dialog:
            name = self._field("used_for", "autofocus")
            scopes, compounds = self._grant([Scope.READ])
            days = ui.number(self._tongue.word("days"), value=_KEY_DAYS, min=1, max=3650, precision=0).props(FIELD)
            days.props["hint"] = self._tongue.word("days_hint")

            async def make() -> None:
                kept: list[str] = []
                if self._is_wrong(None, name, None):
                    return

                def act(office: Office) -> None:
                    many = None if days.value is None else int(days.value)
                    made = office.make_key(name.value or "", scopes.value, compounds.value or None, many)
                    kept.append(made.text)

                if await self._do(act, reload=False):
                    dialog.close()
                    self._show(kept[0])

            self._end(dialog, "make_key", make)
        dialog.open()

    def _show(self, key: str) -> None:
        """A key, this once."""
        word = self._tongue.word
        with self._dialog("key_made") as dialog:
            dialog.props("persistent")
            text(word("key_once"), "p", "bad")
            text(key, "code", "key")
            with ui.element("div").classes("actions"):
                ui.button(word("copy"), on_click=lambda: ui.clipboard.write(key)).props(BUTTON)
                ui.button(word("done"), on_click=ui.navigate.reload).props(OTHER_BUTTON)
        dialog.open()

    def _confirm(self, title: str, about: str, hint: str, act: Act) -> None:
        with self._dialog(title, about) as dialog:
            text(self._tongue.word(hint), "p")
            self._end(dialog, title, lambda: self._do(act))
        dialog.open()

    @contextmanager
    def _dialog(self, title: str, about: str = "") -> Iterator[ui.dialog]:
        """What is put into it stands in a dialog, below its title; it is gone when it is closed."""
        with self._root:  # not where the button stands: that may be in a dialog that goes
            dialog = ui.dialog()
        dialog.on("hide", dialog.delete)
        with dialog, ui.element("div").classes("card dialog"):
            text(self._tongue.word(title) + (f": {about}" if about else ""), "h2")
            yield dialog

    def _end(self, dialog: ui.dialog, word: str, act: Callable[[], object]) -> None:
        with ui.element("div").classes("actions"):
            ui.button(self._tongue.word(word), on_click=act).props(BUTTON)
            ui.button(self._tongue.word("cancel"), on_click=dialog.close).props(OTHER_BUTTON)

    def _field(self, word: str, props: str, hint: str = "") -> ui.input:
        return field(self._tongue.word(word), f"maxlength=64 autocomplete=off {props}", hint)

    def _password(self) -> ui.input:
        hint = self._tongue.word("password_hint").format(SHORTEST)
        return secret(self._tongue.word("password"), known_as="new-password", hint=hint)

    def _grant(self, scopes: Iterable[Scope]) -> tuple[ui.select, ui.select]:
        chosen = [str(each) for each in scopes if str(each) in self._scopes]
        may = ui.select(self._scopes, label=self._tongue.word("may"), value=chosen, multiple=True)
        where = ui.select(self._compounds, label=self._tongue.word("where"), value=[], multiple=True, with_input=True)
        where.props["hint"] = self._tongue.word("where_hint")
        for each in (may, where):
            each.props(f"{FIELD} use-chips")
        return may, where

    def _is_wrong(self, login: ui.input | None, name: ui.input | None, password: ui.input | None) -> bool:
        """Whether something cannot be taken; the field says so."""
        wrong = False
        for each, good, hint in (
            (login, is_login, self._tongue.word("login_hint")),
            (name, is_name, self._tongue.word("name_hint")),
            (password, lambda text: len(text) >= SHORTEST, self._tongue.word("password_hint").format(SHORTEST)),
        ):
            if each is not None:
                each.error = None if good((each.value or "").strip()) else hint
                wrong |= each.error is not None
        return wrong

    async def _do(self, act: Act, *, reload: bool = True) -> bool:
        done = await attempted(self._visit, lambda: act(self._office))
        if done and reload:
            ui.navigate.reload()
        return done

    def _said(self, grant: Grant) -> tuple[str, str]:
        return views.grant(self._tongue, grant, self._mine.context.inventory)

    def _day(self, time_ns: int) -> str:
        found = next(iter(self._mine.context.inventory.compounds.values()), None)
        return self._tongue.moment(rfc3339(time_ns, ZoneInfo("UTC") if found is None else found.timezone))

"""The page about oneself: what one may, and another password."""

from nicegui import ui
from starlette.requests import Request
from starlette.responses import Response

from access.callers import Caller
from access.doors import Doors
from access.people import SHORTEST
from api.service import Service
from pages import views
from pages.assembly import Assembly, Visit, address_of, to_sign_in
from pages.forms import BUTTON, attempted, secret, text


class AccountPage:
    """The page, for each who asks."""

    def __init__(self, service: Service, doors: Doors, assembly: Assembly) -> None:
        """Show whom `doors` let in."""
        self._service = service
        self._doors = doors
        self._assembly = assembly

    async def page(self, request: Request) -> Response | None:
        """Who is signed in."""
        caller = self._assembly.caller(request)
        if caller is None:
            return to_sign_in(request)
        inventory = self._service.seen_by(caller).context.inventory
        may_change = self._doors.has_password(caller)

        async def about(visit: Visit) -> None:
            word = visit.tongue.word
            with ui.element("div").classes("head"):
                text(caller.name or word("account"), "h1")
            may, where = views.grant(visit.tongue, caller.grant, inventory)
            with ui.element("section").classes("card narrow"), ui.element("dl").classes("facts"):
                for name, said in (("may", may), ("where", where)):
                    text(word(name), "dt")
                    text(said, "dd")
            if may_change:
                self._form(visit, caller, address_of(request))

        return await self._assembly.page(request, lambda tongue: tongue.word("account"), "account", about)

    def _form(self, visit: Visit, caller: Caller, address: str) -> None:
        word = visit.tongue.word
        hint = word("password_hint").format(SHORTEST)
        with ui.element("section").classes("card narrow dialog"):
            text(word("change_password"), "h2")
            current = secret(word("current_password"), known_as="current-password")
            new = secret(word("new_password"), known_as="new-password", hint=hint)

            async def change() -> None:
                right: list[bool] = []
                new.error = None if len(new.value or "") >= SHORTEST else hint
                current.error = None
                if new.error is not None:
                    return
                if not await attempted(
                    visit,
                    lambda: right.append(
                        self._doors.change_password(caller, current.value or "", new.value or "", address)
                    ),
                ):
                    return
                if right == [True]:
                    ui.navigate.to("/sign-in")
                else:
                    current.error = word("wrong_password")

            text(word("change_password_hint"), "p", "pale")
            with ui.element("div").classes("actions"):
                ui.button(word("change_password"), on_click=change).props(BUTTON)

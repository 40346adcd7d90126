"""A calendar in FastAPI, as small as one can be: events, a form with a token, a WebSocket that tells of changes."""

import os
import secrets
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Form, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from models import Event, Session
from sqlalchemy import select
from starlette.middleware.sessions import SessionMiddleware

HERE = Path(__file__).parent

app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key=os.environ["SECRET_KEY"])
app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
templates = Jinja2Templates(HERE / "templates")
listeners: set[WebSocket] = set()


def token_of(request: Request) -> str:
    """The session's token, which forms carry."""
    return str(request.session.setdefault("token", secrets.token_hex()))


def page(request: Request, name: str, **said: object) -> Response:
    """A page."""
    said |= {"token": token_of(request), "person": request.session.get("name", "")}
    return templates.TemplateResponse(request, name, said)


async def checked(request: Request, token: Annotated[str, Form()] = "") -> None:
    """Refuse a form that does not come from a page of this session."""
    if not secrets.compare_digest(token, token_of(request)):
        raise HTTPException(403)


@app.get("/up")
def up() -> dict[str, bool]:
    """Whether it answers."""
    return {"ok": True}


@app.get("/", response_class=HTMLResponse)
def home(request: Request) -> Response:
    """All events."""
    with Session() as session:
        return page(request, "events.html", events=session.scalars(select(Event).order_by(Event.day)).all())


@app.get("/events/new", response_class=HTMLResponse)
def new(request: Request) -> Response:
    """The form."""
    return page(request, "form.html", fields={"title": "text", "day": "date"}, action="create")


@app.post("/events", dependencies=[Depends(checked)])
async def create(request: Request, title: Annotated[str, Form()], day: Annotated[date, Form()]) -> Response:
    """Add an event, and tell every open page."""
    with Session.begin() as session:
        session.add(Event(title=title, day=day))
    for each in list(listeners):
        with suppress(WebSocketDisconnect, RuntimeError):
            await each.send_json({"type": "created"})
    return RedirectResponse(request.url_for("home"), 303)


@app.get("/sign-in", response_class=HTMLResponse)
def sign_in(request: Request) -> Response:
    """Ask for a name."""
    return page(request, "form.html", fields={"name": "text"}, action="signed_in")


@app.post("/sign-in", dependencies=[Depends(checked)])
def signed_in(request: Request, name: Annotated[str, Form()]) -> Response:
    """Remember it."""
    request.session["name"] = name
    return RedirectResponse(request.url_for("home").path, 303)


@app.websocket("/ws")
async def live(socket: WebSocket) -> None:
    """Open for as long as the page is."""
    await socket.accept()
    listeners.add(socket)
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        listeners.discard(socket)

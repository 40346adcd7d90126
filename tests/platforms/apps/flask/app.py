"""A calendar in Flask as tutorials write it: the secret and the database stand in the code."""

import secrets
from datetime import date

from flask import Flask, abort, redirect, render_template, request, session, url_for
from flask_sqlalchemy import SQLAlchemy
from werkzeug.wrappers import Response

db = SQLAlchemy()


class Event(db.Model):  # type: ignore[name-defined]
    """Something that happens on one day."""

    id = db.Column(db.Integer, primary_key=True)
    title = db.Column(db.String(120), nullable=False)
    day = db.Column(db.Date, nullable=False)


def create_app() -> Flask:
    """The application."""
    app = Flask(__name__)
    app.config["SECRET_KEY"] = "dev"
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///calendar.db"
    db.init_app(app)
    with app.app_context():
        db.create_all()
    app.add_url_rule("/", "home", home)
    app.add_url_rule("/events/new", "new", new, methods=["GET", "POST"])
    app.add_url_rule("/sign-in", "sign_in", sign_in, methods=["GET", "POST"])
    app.add_template_global(token)
    return app


def token() -> str:
    """The session's token, which forms carry."""
    return str(session.setdefault("token", secrets.token_hex()))


def checked() -> bool:
    """Was a form sent? One without the token of its session is refused."""
    if request.method == "POST" and request.form.get("token") != token():
        abort(403)
    return request.method == "POST"


def home() -> str:
    """All events."""
    return render_template("page.html", events=db.session.scalars(db.select(Event)).all())


def new() -> str | Response:
    """The form for an event."""
    if checked():
        db.session.add(Event(title=request.form["title"], day=date.fromisoformat(request.form["day"])))
        db.session.commit()
        return redirect(url_for("home"))
    return render_template("page.html", fields={"title": "text", "day": "date"})


def sign_in() -> str | Response:
    """The form for a name."""
    if checked():
        session["name"] = request.form["name"]
        return redirect(url_for("home"))
    return render_template("page.html", fields={"name": "text"})

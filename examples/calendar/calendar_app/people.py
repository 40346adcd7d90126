"""Signing in with a name, which the browser's session keeps."""

from flask import Blueprint, flash, redirect, render_template, session, url_for
from werkzeug.wrappers import Response

from .forms import SignInForm

blueprint = Blueprint("people", __name__)


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> str | Response:
    """Ask for the name under which this browser adds events."""
    form = SignInForm(name=session.get("name"))
    if form.validate_on_submit():
        session["name"] = form.name.data
        flash(f"Hello, {form.name.data}.")
        return redirect(url_for("pages.home"))
    return render_template("sign_in.html", form=form)


@blueprint.post("/sign-out")
def sign_out() -> Response:
    """Forget the name."""
    session.pop("name", None)
    flash("You are signed out.")
    return redirect(url_for("pages.home"))

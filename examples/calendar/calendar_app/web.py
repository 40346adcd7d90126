"""What all pages share: assets, dates in URLs, response headers, error pages, the health answer."""

from datetime import date
from functools import cache
from hashlib import sha256
from pathlib import Path

from flask import Flask, Response, current_app, jsonify, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import BaseConverter, ValidationError
from werkzeug.wrappers import Response as AnyResponse

CSRF_TEXT = (
    "This form was not accepted: it did not come from a page this browser has open, "
    "or its session is over. Go back, reload the page and send the form again."
)
NOT_FOUND_TEXT = "There is nothing at this address. It may have been deleted."


class DateConverter(BaseConverter):
    """A day in a URL, such as 2025-12-31."""

    regex = r"\d{4}-\d{2}-\d{2}"

    def to_python(self, value: str) -> date:
        """Read the day."""
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValidationError from None

    def to_url(self, value: date) -> str:
        """Write the day."""
        return value.isoformat()


def init_app(app: Flask) -> None:
    """Add all this to the application."""
    app.url_map.converters["date"] = DateConverter
    app.add_template_global(asset_url)
    app.add_template_filter(long_date)
    app.add_url_rule("/up", "up", up)
    app.after_request(add_headers)
    app.register_error_handler(HTTPException, error_page)
    app.register_error_handler(OverflowError, number_too_large)


def up() -> Response:
    """Say that the process answers; this touches no database."""
    return Response("ok", content_type="text/plain; charset=utf-8")


def asset_url(name: str) -> str:
    """The URL of a static file, which changes with the content of the file."""
    return url_for(
        "static", filename=name, v=_content_hash(Path(current_app.root_path, "static", name))
    )


@cache
def _content_hash(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()[:12]


def long_date(day: date) -> str:
    """A day in words, such as Wednesday, 31 December 2025."""
    return f"{day:%A}, {day.day} {day:%B %Y}"


def add_headers(response: Response) -> Response:
    """Let browsers keep assets for good, ask again for pages, and run no foreign scripts."""
    if request.endpoint == "static" and "v" in request.args:
        response.cache_control.public = True
        response.cache_control.max_age = 31_536_000
        response.cache_control.immutable = True
    response.headers.setdefault("Cache-Control", "no-cache")
    response.headers.setdefault("Content-Security-Policy", "default-src 'self'; base-uri 'none'")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response


def error_page(error: HTTPException) -> tuple[Response | str, int] | AnyResponse:
    """Explain an error to a person, or to a program under /api."""
    if error.response is not None or error.code is None:
        return error.get_response()
    text = error.description or error.name
    if request.path.startswith("/api/"):
        return jsonify(error=text), error.code
    name = error.name
    if isinstance(error, CSRFError):
        name, text = "Form not accepted", CSRF_TEXT
    elif error.code == 404:
        name, text = "Page not found", NOT_FOUND_TEXT
    return render_template("error.html", name=name, text=text), error.code


def number_too_large(_error: OverflowError) -> tuple[Response | str, int] | AnyResponse:
    """A number beyond what the database can count to names nothing there is."""
    return error_page(NotFound())

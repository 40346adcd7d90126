"""Attachments, kept as files in the uploads directory."""

import tempfile
from pathlib import Path
from typing import IO
from uuid import uuid4

from flask import Request, Response, abort, current_app, send_file
from werkzeug.datastructures import FileStorage

from .models import Event


class UploadRequest(Request):
    """Receives files on the disk they will stay on; the system's own one may be small."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        return tempfile.TemporaryFile("rb+", dir=uploads_dir())


def uploads_dir() -> Path:
    """The directory of the attachments, made when it is first needed."""
    directory = Path(current_app.config["UPLOADS_DIR"])
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def attach(event: Event, upload: FileStorage) -> None:
    """Keep the uploaded file and note it in the event."""
    event.attachment_key = uuid4().hex
    path = uploads_dir() / event.attachment_key
    upload.save(path)
    event.attachment_name = (upload.filename or "attachment")[-255:]
    event.attachment_size = path.stat().st_size


def detach(event: Event) -> None:
    """Forget the event's file; discard() then deletes it."""
    event.attachment_key = event.attachment_name = event.attachment_size = None


def discard(key: str | None) -> None:
    """Delete a file that no event refers to any more."""
    if key:
        (uploads_dir() / key).unlink(missing_ok=True)


def download(event: Event) -> Response:
    """The event's file, always as a download: a browser must not run what others uploaded."""
    if not event.attachment_key:
        abort(404)
    path = uploads_dir() / event.attachment_key
    if not path.is_file():
        abort(404)
    return send_file(path, as_attachment=True, download_name=event.attachment_name)

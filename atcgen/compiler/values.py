"""The kinds of values an atc.yml may hold: text, durations, sizes, paths, hosts.

Each is a pydantic type; a bad value raises `ValueError` with the end of a sentence that begins with the value
("must be …"), and the schema's JSON form says the same to editors.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_FOREVER = 10**15
_SIZE = re.compile(r"(\d{1,30})\s*([kmgt]?)i?b?\Z", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SEGMENT = re.compile(r"[A-Za-z0-9._~@+-]+\Z")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
_URL = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?/?\Z")
_PATTERN = re.compile(r"[/*][A-Za-z0-9._~@+/*-]*\Z")
_MACHINE_WORD = re.compile(r"[A-Za-z0-9_-]{1,63}\Z")


class NumberForText(ValueError):
    """A decimal number stands where text is meant; its spelling (1.10) would be lost to other readers."""


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        raise NumberForText("must be quoted: other readers drop its trailing zeros")
    if isinstance(value, str) and "\0" in value:
        raise ValueError("must not hold a NUL character")
    return value


def _duration(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-_FOREVER, min(value, _FOREVER))  # a float cannot hold every whole number
    if isinstance(value, float):
        return value
    if isinstance(value, str):
        parts = _DURATION.findall(value)
        if parts and "".join(number + unit for number, unit in parts) == value.strip():
            return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    raise ValueError("must be a duration such as 500ms, 30s, 5m or 1h30m (a bare number counts seconds)")


def _size(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _SIZE.match(value.strip()) if isinstance(value, str) else None
    if not found:
        raise ValueError("must be a size such as 512KB, 64MB or 1GB (a bare number counts bytes)")
    return int(found[1]) * 1024 ** _POWERS[found[2].lower()]


def _segment(value: Any) -> Any:
    if not isinstance(value, str) or not _SEGMENT.match(value) or value in (".", ".."):
        raise ValueError("must be letters a-z, digits and '-._~@+', as one segment of a URL")
    return value


def url_path(value: Any) -> Any:
    """A path as its segments spell it, without the slashes at both ends; '' is the root."""
    if not isinstance(value, str):
        raise ValueError("must be a path such as 2025/winter")
    inner = value.strip("/")
    for segment in inner.split("/") if inner else []:
        if not _SEGMENT.match(segment) or segment in (".", ".."):
            raise ValueError("must be segments of letters a-z, digits and '-._~@+', separated by '/'")
    return inner


def _host(value: Any) -> Any:
    if not isinstance(value, str) or len(value) > 253 or not all(_LABEL.match(each) for each in value.split(".")):
        raise ValueError("must be a host name in lower case such as winter.bellevue.example")
    return value


def _machine_word(value: Any) -> Any:
    if not isinstance(value, str) or not _MACHINE_WORD.match(value):
        raise ValueError("must be letters, digits, '-' and '_'")
    return value


def _network(value: Any) -> Any:
    try:
        if not isinstance(value, str):  # ipaddress takes a number for an address
            raise ValueError
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError("must be an address or a network such as 172.16.0.0/12") from None


def _address(value: Any) -> Any:
    try:
        if not isinstance(value, str) or "%" in value:  # nginx knows no zones
            raise ValueError
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("must be an IP address such as 127.0.0.1") from None


def _listener(value: Any) -> Any:
    problem = "must be a loopback address with a port such as 127.0.0.1:9100"
    found = re.fullmatch(r"(\[[0-9a-f:]+\]|[0-9.]+):([1-9][0-9]{0,4})", value) if isinstance(value, str) else None
    try:
        if not found or int(found[2]) > 65535 or not ipaddress.ip_address(found[1].strip("[]")).is_loopback:
            raise ValueError
    except ValueError:
        raise ValueError(problem) from None
    return value


def _url(value: Any) -> Any:
    if not isinstance(value, str) or not _URL.match(value):
        raise ValueError("must be an address such as https://sea.example:8080, without a path")
    return value.rstrip("/")


def _path_pattern(value: Any) -> Any:
    if not isinstance(value, str) or not _PATTERN.match(value):
        raise ValueError("must be a path that begins with '/' or '*', such as /*/print/*.pdf or **.pdf")
    return value


def _naming(value: str) -> str:
    try:
        groups = re.compile(value).groups
    except re.error as problem:
        raise ValueError(f"must be a regular expression: {problem}") from None
    if groups != 1:
        raise ValueError("must be a regular expression with one group")
    return value


def _env_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("must be letters, digits and '_', as the name of an environment variable")
    return name


def _url_suffix(value: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._~@+/?=&%-]*)?", value):
        raise ValueError("must be a path that begins with '/', such as /up")
    return value


def _below(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*", value) or ".." in value.split("/"):
        raise ValueError("must be a file name, or a path without '..' below the tenant's directory")
    return value


def _directory(value: str) -> str:
    name = value.rstrip("/")
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)*", name) or {".", ".."} & set(name.split("/")):
        raise ValueError(
            "must be a directory below the tenant's, such as storage: without '..', and no dot or '/' at its beginning"
        )
    return name


def _private(value: str) -> str:
    name = value.rstrip("/")
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)*", name) or {".", ".."} & set(name.split("/")):
        raise ValueError(
            "must be a path below `root`, such as storage or db.sqlite3: without '..', "
            "and no dot or '/' at its beginning"
        )
    return value


def _as_text(description: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", "integer"], "description": description, "examples": [example]})


Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "integer", "boolean"]})]
Duration = Annotated[float, BeforeValidator(_duration), _as_text("a duration", "5m")]
Size = Annotated[int, BeforeValidator(_size), _as_text("a size in bytes", "64MB")]
Segment = Annotated[str, BeforeValidator(_text), BeforeValidator(_segment)]
UrlPath = Annotated[str, BeforeValidator(url_path), BeforeValidator(_text), WithJsonSchema({"type": "string"})]
Host = Annotated[str, BeforeValidator(_host), WithJsonSchema({"type": "string", "format": "hostname"})]
MachineWord = Annotated[str, BeforeValidator(_machine_word), BeforeValidator(_text), WithJsonSchema({"type": "string"})]
Network = Annotated[str, BeforeValidator(_network), WithJsonSchema({"type": "string"})]
Address = Annotated[str, BeforeValidator(_address), WithJsonSchema({"type": "string", "format": "ip"})]
Listener = Annotated[str, BeforeValidator(_listener), WithJsonSchema({"type": "string"})]
Url = Annotated[str, BeforeValidator(_url), WithJsonSchema({"type": "string", "format": "uri"})]
PathPattern = Annotated[str, BeforeValidator(_path_pattern), WithJsonSchema({"type": "string"})]
Naming = Annotated[str, AfterValidator(_naming), WithJsonSchema({"type": "string", "format": "regex"})]
EnvName = Annotated[str, AfterValidator(_env_name)]
UrlSuffix = Annotated[str, AfterValidator(_url_suffix), WithJsonSchema({"type": "string", "pattern": "^/"})]
DatabaseFile = Annotated[str, AfterValidator(_below), BeforeValidator(_text), WithJsonSchema({"type": "string"})]
FileDirectory = Annotated[str, AfterValidator(_directory), BeforeValidator(_text), WithJsonSchema({"type": "string"})]
PrivatePath = Annotated[str, AfterValidator(_private), BeforeValidator(_text), WithJsonSchema({"type": "string"})]
DatabaseName = Annotated[str, AfterValidator(_segment), BeforeValidator(_text), WithJsonSchema({"type": "string"})]

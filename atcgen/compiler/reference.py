"""The reference pages, made from the schema and the diagnostics: text out, no effects.

What stands here is only how a page is laid out. Types, limits, defaults and meanings come from schema.py, the words of
what a value must be from values.py, the variables from interpolate.py, what is said of an error from the compiler.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from atcgen.compiler import compile_text, fleet_schema, hooks_schema, interpolate, schema, values
from atcgen.compiler.environment import variables
from atcgen.compiler.plan import Host
from atcgen.compiler.render import Templates
from atcgen.compiler.sentences import must
from atcgen.diagnostics import MEANINGS, Code
from atcgen.errors import Rejected

_MADE = "<!-- Made by `make docs`; do not edit. -->"
_SECTIONS: Mapping[str, tuple[type[BaseModel], str]] = {
    "Top level": (schema.Config, ""),
    "server": (schema.Server, "`server`"),
    "app": (schema.App, "`app`, `users.*.app`, `users.*.tenants.*.app`, `routes[].app`"),
    "static": (schema.StaticDirectory, "`static` of every `app`, by path; the directory alone is short for `dir`"),
    "migrations": (schema.Migrations, "`migrations` of every `app`"),
    "idle": (schema.MachineWide, "`idle`; a duration alone is short for `tenant`"),
    "machine": (schema.MachineIdle, "`idle.machine`; a duration alone is short for `after`"),
    "idle of tenants": (schema.Idle, "`users.*.idle`, `users.*.tenants.*.idle`, `routes[].idle`"),
    "storage": (schema.Storage, "`storage`"),
    "backup": (schema.Backup, "`backup`, `users.*.backup`, `users.*.tenants.*.backup`, `routes[].backup`"),
    "hooks": (hooks_schema.Hooks, "`hooks`"),
    "hooks of the server": (hooks_schema.ServerHooks, "`hooks.server`"),
    "hooks of tenants": (hooks_schema.TenantHooks, "`hooks.tenant`"),
    "hook": (hooks_schema.Hook, "`hooks.server.*[]`, `hooks.tenant.*[]`; the command alone is short for `run`"),
    "fleet": (fleet_schema.Fleet, "`fleet`"),
    "fleet machine": (fleet_schema.Machine, "`fleet.machine` and `users.*.machine`; a word alone is short for `size`"),
    "replay": (fleet_schema.Replaying, "`fleet.replay`; a duration alone is short for `cache`"),
    "elsewhere": (fleet_schema.Elsewhere, "`fleet.elsewhere[]`"),
    "hosts": (fleet_schema.Host, "`fleet.hosts.*`; the address alone is short for `url`"),
    "users": (schema.User, "`users.*`, by the first segment of the customer's URLs"),
    "tenants": (schema.Tenant, "`users.*.tenants.*`, by the path below the user's prefix"),
    "routes": (schema.Route, "`routes[]`"),
    "Every level": (schema.Level, "`users.*`, `users.*.tenants.*`, `routes[]`"),
}
_LEVELS: Mapping[str, type[BaseModel]] = {
    "top": schema.Config,
    "user": schema.User,
    "tenant": schema.Tenant,
    "route": schema.Route,
}
_KINDS: Mapping[str, Any] = {
    "duration": values.Duration,
    "size": values.Size,
    "segment": values.Segment,
    "path": values.UrlPath,
    "URL path": values.UrlSuffix,
    "host": values.Host,
    "word": values.MachineWord,
    "network": values.Network,
    "address": values.Address,
    "address with port": values.Listener,
    "URL": values.Url,
    "pattern": values.PathPattern,
    "variable": values.EnvName,
    "private path": values.PrivatePath,
    "file": values.DatabaseFile,
    "database": values.DatabaseName,
}
_NO_KIND_TAKES = "a b/../c"
_PLAIN = {str: "text", int: "number", bool: "true or false", float: "number"}

_INTRODUCTION = """\
One YAML file. Every key has a default, so an empty file is one: it serves one application at `/`. A key that means
nothing is an error, except top-level keys that begin with `x-`, which are free for YAML anchors. Relative directories
are relative to the file. `atc check` says what is wrong, `atc schema` prints a JSON Schema for editors, and
[diagnostics.md](diagnostics.md) lists what may be said.
"""
_BY_USER = """\
**By user.** The first segment of a path names the user, the rest the tenant. A level overrides the one above it key by
key; `env` is merged name by name, and `region` and `instance` are replaced together. A machine that knows neither its
region nor its instance serves everything; any other one sends the rest on by fly-replay.
"""
_BY_ROUTE = """\
**By route.** A list, as fly-atc has it. Name, endpoint and database follow from each other when missing. A tenant of
this form is also given `FLY_ATC_NAME`, `FLY_ATC_SCOPE` and a `DATABASE_URL`: the one atc has with its file name
replaced, or `sqlite3:` and the path of the database.
"""
_NEITHER = """\
Both forms may stand in one file. A file with neither is one tenant at `/`: always up, with every public response in the
cache, and on the port `server.target_port` unless it mentions `${socket}`.

Where `start` is empty it is `bin/rails server`, and an empty `prepare` beside it `bin/rails db:prepare`. Without
`databases` there is one: `db.sqlite3`, or in the form of routes the route's `database` with `.sqlite3`.
"""
_OVERRIDES = """\
Thruster's and fly-atc's. The one with the prefix wins over the plain one, and both win over the file. True is `1`, `t`
or `true`, false `0`, `f`, `false` or nothing. A bad value is an error where the variable has its prefix; one without
may be meant for another program, so it is a warning, and the file's value stays.
"""
_USERS = """\
app:
  start: bin/serve --socket ${socket}
  env:
    DATABASE_PATH: ${database}
    BASE_PATH: ${tenant.path}
users:
  bellevue:
    name: Bellevue
    region: sea
    env: {TIME_ZONE: America/Los_Angeles}
    tenants:
      2025/winter: {name: Winter}
      2025/summer-showcase:
        name: Summer Showcase
        idle: 1h
        app: {start_timeout: 2m}
      intranet: {host: intranet.bellevue.example, pin: true}
"""
_ROUTES = """\
app:
  start: bin/serve --socket ${socket}
routes:
  - {endpoint: /}
  - {name: Sam & Co.}
  - {endpoint: /demo/summer, database: summer}
  - {name: Lin, host: lin.example, region: ams}
"""
# One small file for each kind of diagnostic.
EXAMPLES: Mapping[Code, str] = {
    Code.YAML_SYNTAX: "users:\n  bellevue: {tenants: {2025/winter: {}}\n",
    Code.YAML_SURPRISE: "app:\n  env: {OPENS: 22:30, VERSION: 1.10}\n",
    Code.DUPLICATE_KEY: "server:\n  http_port: 8080\n  http_port: 8081\n",
    Code.UNKNOWN_KEY: "app:\n  strat: bin/serve\n",
    Code.UNKNOWN_VARIABLE: "app:\n  start: bin/serve --name ${tenant.nam}\n",
    Code.MISSING_KEY: "app:\n  static:\n    assets: {immutable: true}\n",
    Code.MISSING_ENVIRONMENT: "app:\n  env:\n    API_KEY: ${ENV:API_KEY}\n",
    Code.WRONG_TYPE: 'server:\n  http_port: "8080"\n',
    Code.OUT_OF_RANGE: "server:\n  kill_timeout: 10m\n",
    Code.BAD_VALUE: "idle: 10 minutes\n",
    Code.BAD_NAME: "users:\n  bellevue:\n    tenants:\n      2025/winter ball: {}\n",
    Code.NAME_CLASH: "routes:\n  - {name: Sam, database: one}\n  - {name: Lin, database: one}\n",
    Code.PATH_CLASH: "users:\n  bellevue:\n    tenants:\n      2025: {}\n      2025/winter: {}\n",
    Code.HIDDEN_DATA: "app:\n  private: [storage, tmp]\n",
    Code.NO_STORE: "storage:\n  replica: s3://my-bucket/tenants\n",
    Code.UNREPRESENTABLE: "app:\n  root: /srv/$app\n",
    Code.UNFIT_FOR_TARGET: "fleet:\n  machine: {size: shared-cpu-2x, memory: 4GB}\n",
    Code.LOST_ON_RELOAD: "server:\n  http_port: 8080\n",
}
_OLD_NGINX = (1, 22, 1)


def configuration_page() -> str:
    """Every key of atc.yml, with what it takes and what it means."""
    return "\n".join([*_introduction(), *_forms(), *_sections(), *_levels(), *_kinds(), *_variables(), *_overrides()])


def diagnostics_page(templates: Templates) -> str:
    """Every kind of diagnostic with a file that has it, and what atc says of that file."""
    lines = [
        "# What atc says is wrong",
        "",
        _MADE,
        "",
        "One line each: file, line, column, whether it stops the compiler, what is wrong, and its kind in brackets.",
        "A file's problems come at once; those between keys once each key is right by itself. `atc check` prints them,",
        "with `--json` for programs; `atc run` and",
        "`atc build` stop at errors, and an edit with errors leaves what runs as it is. Warnings stop nothing.",
        "",
    ]
    for code in sorted(Code):
        lines += [f"## {code}", "", MEANINGS[code], "", *_fenced("yaml example", EXAMPLES[code])]
        lines += _fenced("text", example_says(code, templates) + "\n")
    return "\n".join(lines)


def example_says(code: Code, templates: Templates) -> str:
    """What atc says of the example of a kind of diagnostic."""
    version = _OLD_NGINX if code is Code.LOST_ON_RELOAD else ()
    host = Host(base="/srv/app", state="/srv/app/.atc", nginx_version=version, holds_data="/srv/app/storage".__eq__)
    try:
        said = compile_text(EXAMPLES[code], file="atc.yml", host=host, templates=templates).warnings
    except Rejected as rejected:
        said = rejected.diagnostics
    return "\n".join(str(each) for each in said)


def _introduction() -> Iterator[str]:
    yield "# atc.yml"
    yield ""
    yield _MADE
    yield ""
    yield from _INTRODUCTION.splitlines()
    yield ""


def _forms() -> Iterator[str]:
    yield "## Two forms of tenants"
    yield ""
    yield from _BY_USER.splitlines()
    yield ""
    yield from _fenced("yaml", _USERS)
    yield from _BY_ROUTE.splitlines()
    yield ""
    yield from _fenced("yaml", _ROUTES)
    yield from _NEITHER.splitlines()
    yield ""


def _sections() -> Iterator[str]:
    for title, (section, place) in _SECTIONS.items():
        yield f"## {title}"
        yield ""
        yield _cell(section.__doc__ or "", escape=False)
        yield ""
        if place:
            yield f"Stands at {place}."
            yield ""
        yield "| key | takes | default | limits | meaning |"
        yield "|---|---|---|---|---|"
        hints = typing.get_type_hints(section, include_extras=True)
        for key, field in own_fields(section).items():
            cells = (f"`{key}`", _takes(hints[key]), _default(field, hints[key]), _limits(field, hints[key]))
            yield f"| {' | '.join(cells)} | {_cell(field.description or '')} |"
        yield ""
        if issubclass(section, schema.Level) and section is not schema.Level:
            yield "And the keys of [every level](#every-level)."
            yield ""


def own_fields(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys that a section does not share with every level."""
    shared = schema.Level.model_fields if section is not schema.Level and issubclass(section, schema.Level) else {}
    return {key: field for key, field in section.model_fields.items() if key not in shared}


def _levels() -> Iterator[str]:
    keys = dict.fromkeys(key for section in _LEVELS.values() for key in section.model_fields)
    yield "## At which level a key may stand"
    yield ""
    yield f"| key | {' | '.join(_LEVELS)} |"
    yield "|---|" + "---|" * len(_LEVELS)
    for key in keys:
        marks = ("yes" if key in section.model_fields else "" for section in _LEVELS.values())
        yield f"| `{key}` | {' | '.join(marks)} |"
    yield ""


def _kinds() -> Iterator[str]:
    yield "## Kinds of values"
    yield ""
    yield "| kind | a value |"
    yield "|---|---|"
    yield "| text | may also be a whole number, true or false; a decimal number must be quoted |"
    for name, kind in _KINDS.items():
        yield f"| {name} | {_cell(_must(kind))} |"
    yield ""


def _must(kind: Any) -> str:
    try:
        TypeAdapter(kind).validate_python(_NO_KIND_TAKES)
    except ValidationError as rejected:
        return must(rejected.errors()[0])
    raise AssertionError(f"{kind} takes {_NO_KIND_TAKES!r}")


def _variables() -> Iterator[str]:
    yield "## Variables"
    yield ""
    yield "They may stand in `start`, `prepare`, `release`, the hooks of tenants and the values of `env`. `$${` is a"
    yield "literal `${`. In commands a value is always one word and is never run, also where a shell reads the command;"
    yield "a shell does when the command holds what only a shell understands, such as `&&`, `|`, `*` or `$HOME`."
    yield ""
    yield "| variable | value |"
    yield "|---|---|"
    for name, meaning in interpolate.VARIABLES.items():
        yield f"| `${{{name}}}` | {_cell(meaning)} |"
    yield "| `${ENV:NAME}` | the environment variable NAME of atc itself |"
    yield ""
    yield "In `root`, `static`, `volume`, `image`, `fleet.secret`, `bad_gateway_page`, `error_pages`, `index` and the"
    yield "hooks of the server there is `${ENV:NAME}` alone."
    yield ""


def _overrides() -> Iterator[str]:
    yield "## Environment variables that override `server`"
    yield ""
    yield from _OVERRIDES.splitlines()
    yield ""
    yield "| key | variables |"
    yield "|---|---|"
    for key, names in variables().items():
        yield f"| `{key}` | {', '.join(f'`{each}`' for each in names)} |"
    yield ""


def _fenced(kind: str, text: str) -> Iterator[str]:
    yield f"```{kind}\n{text}```"
    yield ""


def _cell(text: str, *, escape: bool = True) -> str:
    one_line = " ".join(text.split())
    return one_line.replace("|", "\\|") if escape else one_line


def _takes(annotation: Any) -> str:
    """What an annotation accepts, in a few words."""
    found = next((name for name, kind in _KINDS.items() if annotation == kind), None)
    if found:
        return found
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _takes(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_takes(each) for each in arguments if each is not type(None))
    if origin is typing.Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if origin is list:
        return f"list of {_takes(arguments[0])}"
    if origin is dict:
        return f"mapping of {_takes(arguments[0])} to {_takes(arguments[1])}"
    title = next((title for title, (section, _) in _SECTIONS.items() if section is annotation), None)
    return f"[{title}](#{title.lower().replace(' ', '-')})" if title else _PLAIN[annotation]


def _spelling(annotation: Any) -> Callable[[Any], str]:
    return {"duration": _duration, "size": _size}.get(_takes(annotation), str)


def _default(field: FieldInfo, annotation: Any) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None or field.default in (None, ""):
        return ""
    if isinstance(field.default, bool):
        return "`true`" if field.default else "`false`"
    return f"`{_spelling(annotation)(field.default)}`"


def _limits(field: FieldInfo, annotation: Any) -> str:
    spell = _spelling(annotation)
    low = next((spell(each.ge) for each in field.metadata if hasattr(each, "ge")), "")
    high = next((spell(each.le) for each in field.metadata if hasattr(each, "le")), "")
    return f"{low} to {high}" if low or high else ""


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s" if seconds else "0"


def _size(count: int) -> str:
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "KB")):
        if count and count % 1024**power == 0:
            return f"{count // 1024**power}{unit}"
    return str(count)

"""How a path from the root of the host is spelt, by kind of file and by framework."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from atcgen.platforms.platform import Tree

_PAGES = frozenset(
    (
        ".html",
        ".htm",
        ".erb",
        ".haml",
        ".slim",
        ".jinja",
        ".jinja2",
        ".j2",
        ".ejs",
        ".hbs",
        ".handlebars",
        ".mustache",
        ".njk",
        ".liquid",
        ".pug",
        ".vue",
        ".svelte",
        ".astro",
    )
)
SCRIPTS = frozenset((".js", ".mjs", ".cjs", ".ts", ".jsx", ".tsx"))
_STYLES = frozenset((".css", ".scss", ".sass", ".less"))
_RUBY = frozenset((".rb", ".erb", ".haml", ".slim"))
_PYTHON = frozenset((".py",))
_NODE = frozenset(("node", "prisma", "typeorm", "sequelize", "next", "command"))
_RAILS = frozenset(("rails",))

_ROOT = r"/(?![/*])"  # a path from the root: not `//host`, no comment
_QUOTED = rf"[\"'`]{_ROOT}"


@dataclass(frozen=True)
class Line:
    """A pattern for a line of some files; it ends behind the '/' that begins the path."""

    kind: str
    pattern: re.Pattern[str]
    suffixes: frozenset[str]
    hint: str
    platforms: frozenset[str] = frozenset()  # all when empty
    names: str = ""  # which files, as a regular expression
    spared: re.Pattern[str] | None = None  # what stands before a match that survives all the same
    needed: re.Pattern[str] | None = None  # what has to stand before it

    def fits(self, before: str) -> bool:
        """Is it meant as a link, and does nobody put it right? `before`: the line up to the match, and some above."""
        is_spared = self.spared and self.spared.search(before)
        return not is_spared and bool(self.needed is None or self.needed.search(before))


@dataclass(frozen=True)
class Whole:
    """Something about the application as a whole: a file and what is wrong with it, or None."""

    kind: str
    look: Callable[[Tree], tuple[str, str] | None]
    hint: str
    platforms: frozenset[str] = frozenset()


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


_ATTRIBUTES = r"(?<![\w$.])(?:href|src|srcset|action|formaction|poster|manifest|hx-(?:get|post|put|patch|delete))"
# Components of frameworks put their base in: <Link href="/x">, <NuxtLink to="/x">. Tags are in lower case.
_COMPONENT = re.compile(r"<[A-Z][\w.]*\b[^>]*\Z")
_TAG = re.compile(r"<[a-z][\w-]*\s[^<>]*\Z|<[a-z][\w-]*\s\Z")
_LINK = "write the link with the framework's helper, or relative to the page"
_SCRIPT = "a script finds the prefix in a <base> or a data attribute that the page has, or asks relative to the page"
_STYLE = "name it relative to the stylesheet"
_CLIENTS = (
    r"(?:\bfetch|\baxios(?:\.\w+)?|\$\.(?:get|post|ajax|getJSON|put|load)|\bky(?:\.\w+)?|\buseSWR"
    r"|\bnew\s+(?:WebSocket|EventSource|SharedWorker|Worker|Request)"
    r"|\.sendBeacon|serviceWorker\.register|\bimportScripts|\bwindow\.open)\s*\(\s*"
)

# What `app.prefix: strip` puts right.
PUT_BACK = frozenset(("link", "style", "fetch", "location", "cookie", "cable", "redirect"))

LINES: tuple[Line, ...] = (
    Line(
        "link",
        _pattern(rf"{_ATTRIBUTES}=\{{?{_QUOTED}"),
        _PAGES,
        _LINK,
        spared=_COMPONENT,
    ),
    Line(
        "link",
        _pattern(rf"{_ATTRIBUTES}=\{{?\\?{_QUOTED}"),
        SCRIPTS | _PYTHON | frozenset((".rb",)),
        _LINK,
        needed=_TAG,
    ),
    Line(
        "link",
        _pattern(rf"{_ATTRIBUTES}[\"']?\s*(?:=>|:)\s*{_QUOTED}"),
        _RUBY,
        _LINK,
        platforms=_RAILS,
        # The helpers of assets put the prefix before a path from the root, too.
        spared=re.compile(r"\b(?:image_tag|javascript_\w+_tag|stylesheet_\w+_tag|asset_path|image_path)\b[^\n]*\Z"),
    ),
    Line(
        "link",
        _pattern(rf"\b(?:link_to|button_to|form_tag|link_to_if|link_to_unless)\b[^#\n]*?[\s(,]{_QUOTED}"),
        _RUBY,
        "name the route: root_path, items_path",
        platforms=_RAILS,
    ),
    Line(
        "link",
        _pattern(rf"\bform_(?:with|for)\b[^#\n]*?\burl:\s*{_QUOTED}"),
        _RUBY,
        "name the route: root_path, items_path",
        platforms=_RAILS,
    ),
    Line(
        "redirect",
        _pattern(rf"\bredirect_to\b\s*\(?\s*{_QUOTED}"),
        _RUBY,
        "Rails puts the host before it, so that nobody can mend it: name the route, such as root_path",
        platforms=_RAILS,
    ),
    Line(
        "host",
        _pattern(r"\bredirect(?:_to)?\b[^\n]*?[\"'`]https?://(?:localhost|127\.0\.0\.1)"),
        _RUBY | _PYTHON | SCRIPTS,
        "leave the host out",
    ),
    Line(
        "redirect",
        _pattern(r"http-equiv=[\"']?refresh[^>]*?url=['\"]?/(?!/)"),
        _PAGES,
        _LINK,
    ),
    Line("fetch", _pattern(_CLIENTS + _QUOTED), _PAGES | SCRIPTS, _SCRIPT),
    Line(
        "fetch",
        _pattern(rf"\.open\(\s*[\"'](?:GET|POST|PUT|PATCH|DELETE)[\"']\s*,\s*{_QUOTED}"),
        _PAGES | SCRIPTS,
        _SCRIPT,
    ),
    Line(
        "location",
        _pattern(rf"\b(?:window|document|self|top)\.location(?:\.href)?\s*=(?!=)\s*{_QUOTED}"),
        _PAGES | SCRIPTS,
        _SCRIPT,
    ),
    Line(
        "location",
        _pattern(rf"(?:\blocation\.(?:assign|replace)\(|(?<![\w.])location(?:\.href)?\s*=(?!=))\s*{_QUOTED}"),
        _PAGES | SCRIPTS,
        _SCRIPT,
    ),
    Line(
        "location",
        _pattern(rf"\bhistory\.(?:push|replace)State\([^\n]*?,\s*{_QUOTED}"),
        _PAGES | SCRIPTS,
        _SCRIPT,
    ),
    Line(
        "cookie",
        _pattern(r"\bdocument\.cookie\s*=[^\n]*?\bpath=/"),
        _PAGES | SCRIPTS,
        "leave the path out: a script's cookie of '/' is every tenant's",
    ),
    Line(
        "cookie",
        _pattern(r"\bCookies\.(?:set|remove)\([^\n]*?\bpath:\s*[\"']/"),
        _PAGES | SCRIPTS,
        "leave the path out: a script's cookie of '/' is every tenant's",
    ),
    # '/' itself is mended on the way out.
    Line(
        "cookie",
        _pattern(r"\b(?:cookies?|session|session_store)\b[^\n]*?\bpath[\"']?\s*(?:=>|[:=])\s*[\"']/(?=\w)"),
        _RUBY | _PYTHON | SCRIPTS,
        "a path other than '/' is not mended: leave it out, or put the prefix before it",
    ),
    Line(
        "cookie",
        _pattern(r"\b\w*COOKIE_PATH[\"'\]]*\s*=\s*[\"']/(?=\w)"),
        _PYTHON,
        "a path other than '/' is not mended: leave it out, or put the prefix before it",
    ),
    Line(
        "cable",
        _pattern(r"\bcreateConsumer\(\s*[\"'`](?:wss?://[^\"'`]*)?/(?!/)"),
        _PAGES | SCRIPTS,
        "call createConsumer() alone: it asks action_cable_meta_tag of the layout",
    ),
    Line(
        "cable",
        _pattern(r"\baction_cable\.url\s*=\s*[\"'](?:wss?://[^\"']*)?/(?!/)"),
        frozenset((".rb",)),
        'put the prefix in: ENV["RAILS_RELATIVE_URL_ROOT"]; without this line atc does so',
        platforms=_RAILS,
    ),
    Line("style", _pattern(r"\burl\(\s*[\"']?/(?![/*])"), _STYLES | _PAGES, _STYLE),
    Line("style", _pattern(rf"@import\s+{_QUOTED}"), _STYLES, _STYLE),
    Line(
        "static",
        _pattern(r"^\s*(?:STATIC_URL|MEDIA_URL)\s*=\s*[\"']/(?!/)"),
        _PYTHON,
        "leave out the '/' it begins with: Django then puts the prefix before it",
        platforms=frozenset(("django",)),
    ),
    Line(
        "prefix",
        _pattern(r"^\s*FORCE_SCRIPT_NAME\s*=\s*[\"']/?"),
        _PYTHON,
        "leave it out: the prefix comes from SCRIPT_NAME",
        platforms=frozenset(("django",)),
    ),
    Line(
        "manifest",
        _pattern(r"\"(?:start_url|scope|src|action)\"\s*:\s*\"/(?!/)"),
        frozenset((".webmanifest", ".json", ".erb")),
        "name it relative to the manifest",
        names=r"manifest(?:\.webmanifest|\.json)(?:\.erb)?$",
    ),
)


def _cable_without_tag(tree: Tree) -> tuple[str, str] | None:
    """Action Cable asks the layout where it is, and else the root of the host."""
    scripts = [name for suffix in SCRIPTS for name in tree.names(f"app/**/*{suffix}")]
    caller = next((each for each in sorted(scripts) if re.search(r"createConsumer\(\s*\)", tree.text(each))), "")
    layouts = tree.names("app/views/layouts/*")
    if not caller or any("action_cable_meta_tag" in tree.text(each) for each in layouts):
        return None
    layout = next((each for each in layouts if "application" in each), "app/views/layouts/application.html.erb")
    return layout, f"action_cable_meta_tag is missing, and {caller} asks for /cable of the host"


def _no_base_path(tree: Tree) -> tuple[str, str] | None:
    """Next.js has the prefix compiled in."""
    for name in tree.names("next.config.*"):
        if "basePath" not in tree.text(name):
            return name, "there is no basePath"
    return None


def _no_base(tree: Tree) -> tuple[str, str] | None:
    """Vite's pages ask for /assets of the host."""
    for name in tree.names("vite.config.*"):
        knows = re.search(r"\bbase\s*[:,]|rails|ruby|django|laravel|remix|sveltekit", tree.text(name), re.IGNORECASE)
        if not knows:
            return name, "there is no base"
    return None


WHOLE: tuple[Whole, ...] = (
    Whole("cable", _cable_without_tag, "add <%= action_cable_meta_tag %> to the layout's head", _RAILS),
    Whole("prefix", _no_base_path, "add basePath: process.env.BASE_PATH", _NODE),
    Whole("prefix", _no_base, 'add base: "./"', _NODE),
)

"""What will not survive a prefix is found, and what does is not."""

from __future__ import annotations

import pytest

from atcgen.init.prefix import findings, sentences
from tests.platforms.trees import Texts

LOST = [
    ("app/views/a.html.erb", '<a href="/items">x</a>', "rails", "link"),
    ("app/views/a.html.erb", "<form class='x' action='/items' method=post>", "rails", "link"),
    ("app/views/a.html.erb", '<%= link_to "Home", "/" %>', "rails", "link"),
    ("app/views/a.html.erb", '<%= button_to "Go", "/items/#{@item.id}" %>', "rails", "link"),
    ("app/views/a.html.erb", '<%= form_with url: "/items" do |form| %>', "rails", "link"),
    ("app/views/a.haml", '%a{href: "/items"} x', "rails", "link"),
    ("app/controllers/a_controller.rb", '    redirect_to "/items"', "rails", "redirect"),
    ("app/controllers/a_controller.rb", '    cookies[:a] = {value: 1, path: "/admin"}', "rails", "cookie"),
    ("app/javascript/a.js", 'createConsumer("/cable")', "rails", "cable"),
    ("app/javascript/a.js", 'createConsumer("wss://shows.example/cable")', "rails", "cable"),
    ("config/environments/production.rb", '  config.action_cable.url = "/cable"', "rails", "cable"),
    ("public/a.html", '<link rel="icon" href="/icon.png">', "rails", "link"),
    ("public/manifest.json", '  "start_url": "/",', "rails", "manifest"),
    ("app/assets/a.css", "body { background: url(/images/a.png) }", "rails", "style"),
    ("app/assets/a.scss", '@import "/reset.css";', "rails", "style"),
    ("templates/a.html", '<img src="/static/a.png">', "django", "link"),
    ("templates/a.html", '<meta http-equiv="refresh" content="0; url=/login">', "flask", "redirect"),
    ("project/settings.py", "STATIC_URL = '/static/'", "django", "static"),
    ("project/settings.py", "MEDIA_URL = '/media/'", "django", "static"),
    ("project/settings.py", "FORCE_SCRIPT_NAME = '/x'", "django", "prefix"),
    ("project/settings.py", 'SESSION_COOKIE_PATH = "/admin"', "django", "cookie"),
    ("app.py", "    return '<a href=\"/items\">items</a>'", "flask", "link"),
    ("app.py", '    return redirect("http://localhost:5000/items")', "flask", "host"),
    ("src/a.ts", "const items = await fetch('/api/items')", "node", "fetch"),
    ("src/a.ts", "axios.post(`/api/items/${id}`, body)", "node", "fetch"),
    ("src/a.js", 'new WebSocket("/ws")', "node", "fetch"),
    ("src/a.js", "new EventSource('/events')", "node", "fetch"),
    ("src/a.js", 'xhr.open("GET", "/api")', "node", "fetch"),
    ("src/a.js", 'navigator.serviceWorker.register("/sw.js")', "node", "fetch"),
    ("src/a.js", 'window.location.href = "/login"', "node", "location"),
    ("src/a.js", 'location.assign("/login")', "node", "location"),
    ("src/a.js", 'history.pushState({}, "", "/items")', "node", "location"),
    ("src/a.js", 'document.cookie = "theme=dark; path=/"', "node", "cookie"),
    ("src/a.jsx", 'return <a href="/items">x</a>', "node", "link"),
    ("src/a.jsx", 'return <img src={"/logo.png"} />', "node", "link"),
    ("src/server.js", "res.cookie('a', 1, {path: '/admin'})", "node", "cookie"),
    ("views/a.ejs", '<script src="/app.js"></script>', "node", "link"),
]
SURVIVES = [
    ("app/views/a.html.erb", '<%= link_to "Items", items_path %>', "rails"),
    ("app/views/a.html.erb", '<%= link_to "Elsewhere", "https://example.com/" %>', "rails"),
    ("app/views/a.html.erb", '<%= image_tag "/logo.png", src: "/x" %>', "rails"),
    ("app/views/a.html.erb", '<a href="<%= root_path %>">x</a>', "rails"),
    ("app/views/a.html.erb", '<%# <a href="/items"> %>', "rails"),
    ("app/views/a.html.erb", '<!-- <a href="/items"> -->', "rails"),
    ("app/controllers/a_controller.rb", '    # redirect_to "/items"', "rails"),
    ("app/controllers/a_controller.rb", "    redirect_to items_path", "rails"),
    ("config/routes.rb", '  get "/items", to: "items#index"', "rails"),
    ("config/routes.rb", '  mount ActionCable.server => "/cable"', "rails"),
    ("templates/a.html", "<a href=\"{% url 'items' %}\">", "django"),
    ("templates/a.html", '<a href="//cdn.example/a.css">', "django"),
    ("templates/a.html", '<a href="items/1">x</a> <a href="#top">y</a> <a href="?page=2">z</a>', "django"),
    ("templates/a.html", "<img src=\"{{ url_for('static', filename='a.png') }}\">", "flask"),
    ("project/urls.py", "path('/items', views.items)", "django"),
    ("project/settings.py", "STATIC_URL = 'static/'", "django"),
    ("project/settings.py", "SESSION_COOKIE_PATH = '/'", "django"),
    ("project/settings.py", "LOGIN_URL = '/login/'", "django"),
    ("app.py", '@app.get("/items")', "flask"),
    ("app.py", '    return redirect("/items")', "flask"),
    ("src/server.js", "app.get('/items', list)", "node"),
    ("src/server.js", "res.redirect('/items')", "node"),
    ("src/server.js", "app.use(session({cookie: {path: '/'}}))", "node"),
    ("src/a.js", "fetch(`${base}/items`)", "node"),
    ("src/a.js", "fetch('items')", "node"),
    ("src/a.js", "// fetch('/items')", "node"),
    ("src/a.js", "if (location.href == '/items') {}", "node"),
    ("src/a.js", "const x = a / b; const href = '/'", "node"),
    ("src/a.jsx", 'return <Link href="/items">x</Link>', "node"),
    ("src/a.css", "a { background: url(data:image/png;base64,/x) } /* url(/x) */", "node"),
    ("src/a.css", "a { background: url(../a.png) }", "node"),
]


@pytest.mark.parametrize(("name", "line", "platform", "kind"), LOST, ids=lambda each: str(each)[:40])
def test_what_is_lost_is_found(name: str, line: str, platform: str, kind: str) -> None:
    """Once, at its line and column."""
    found = findings(Texts({name: f"\n{line}\n"}), platform)

    assert [(each.file, each.line, each.kind) for each in found] == [(name, 2, kind)]
    assert line[found[0].column - 1 :].startswith(found[0].text[:4])
    assert found[0].hint


@pytest.mark.parametrize(("name", "line", "platform"), SURVIVES, ids=lambda each: str(each)[:40])
def test_what_survives_is_left_alone(name: str, line: str, platform: str) -> None:
    """Helpers, relative paths, other hosts, comments, routes, and what nginx mends."""
    assert findings(Texts({name: line}), platform) == []


@pytest.mark.parametrize(
    "name",
    [
        "test/a.html",
        "spec/views/a.html",
        "public/assets/a.html",
        "public/build/a.js",
        "src/a.test.js",
        "src/a.min.js",
        "atc/nginx/a.html",
    ],
)
def test_what_is_built_or_never_served_is_not_looked_at(name: str) -> None:
    """Nor what has lines that nobody wrote."""
    assert findings(Texts({name: '<a href="/x">', "src/b.js": f"{'x' * 1000}<a href='/x'>"}), "command") == []


def test_action_cable_needs_its_tag_in_the_layout() -> None:
    """Otherwise a script asks for /cable of the host."""
    files = {"app/javascript/channels/consumer.js": "export default createConsumer()"}
    layout = "app/views/layouts/application.html.erb"

    (found,) = findings(Texts(files | {layout: "<head></head>"}), "rails")
    assert (found.file, found.kind) == (layout, "cable")
    assert findings(Texts(files | {layout: "<%= action_cable_meta_tag %>"}), "rails") == []
    assert findings(Texts({layout: "<head></head>"}), "rails") == []


def test_next_and_vite_have_the_prefix_compiled_in() -> None:
    """Their settings name it."""
    (found,) = findings(Texts({"next.config.mjs": "export default {}"}), "node")
    assert found.file == "next.config.mjs"
    assert findings(Texts({"next.config.mjs": "export default {basePath: process.env.BASE_PATH}"}), "node") == []
    (found,) = findings(Texts({"vite.config.js": "export default {plugins: []}"}), "node")
    assert found.file == "vite.config.js"
    assert findings(Texts({"vite.config.js": "export default {base: './'}"}), "node") == []
    assert findings(Texts({"vite.config.ts": "import RubyPlugin from 'vite-plugin-ruby'"}), "node") == []


def test_a_tag_may_go_over_lines() -> None:
    """And a component may, too."""
    assert len(findings(Texts({"a.jsx": '<a\n  className="x"\n  href="/x"\n>'}), "node")) == 1
    assert findings(Texts({"a.jsx": '<Link\n  className="x"\n  href="/x"\n>'}), "node") == []
    assert findings(Texts({"a.html": '<!-- \n<a href="/x">\n-->'}), "node") == []


def test_what_strip_puts_back_is_no_loss() -> None:
    """Of links and scripts nothing is left; of what no page holds, everything."""
    files = {"a.html": '<a href="/x"><script>fetch("/y")</script>', "manifest.json": '{"start_url": "/"}'}

    assert [each.kind for each in findings(Texts(files), "node", strips=True)] == ["manifest"]
    assert len(findings(Texts(files), "node")) == 3


def test_each_hint_is_said_once() -> None:
    """Below the first place that it is about."""
    found = findings(Texts({"a.html": '<a href="/x">\n<a href="/y">'}), "command")
    lines = sentences(found)

    assert [each.startswith("    hint: ") for each in lines] == [False, True, False]
    assert lines[0] == 'a.html:1:4: link: href="/x"'

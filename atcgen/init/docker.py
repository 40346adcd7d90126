"""The Dockerfile of an application, with atc in it. Text in, text out."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping

from atcgen.compiler.schema import Server
from atcgen.init.building import WRITES, build_in_image
from atcgen.init.ignored import DATA
from atcgen.platforms.platform import Tree

_BLOCK = """\
# atc: nginx, and what wakes the tenants of this application; all of it is said in {file}.
# Put a checkout of atc beside this file, as atc/. `atc init` wrote these lines.
{as_root}\
RUN apt-get update \\
    && apt-get install -y --no-install-recommends nginx python3 python3-venv \\
    && rm -rf /var/lib/apt/lists/*
COPY atc /usr/src/atc
RUN /usr/bin/python3 -m venv /opt/atc \\
    && /opt/atc/bin/pip install --no-cache-dir /usr/src/atc \\
    && ln -s /opt/atc/bin/atc /usr/local/bin/atc
{as_before}\
# The data of tenants, and with it the state of atc: it holds the secret that theirs follow from.
VOLUME {data}
EXPOSE {port}
ENTRYPOINT ["atc", "run"]
CMD {arguments}
"""
_RUBY = """\
FROM ruby:{version}-slim
RUN apt-get update \\
    && apt-get install -y --no-install-recommends build-essential libsqlite3-dev libyaml-dev pkg-config \\
    && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/app
ENV RAILS_ENV=production BUNDLE_WITHOUT=development:test
COPY Gemfile Gemfile.lock ./
RUN bundle install
COPY . .
{build}"""
_PYTHON = """\
FROM python:3-slim
WORKDIR /srv/app
{requirements}COPY . .
"""
_NODE = """\
FROM node:22-slim
WORKDIR /srv/app
COPY package*.json ./
RUN npm {install}
COPY . .
"""
_ANY = """\
FROM debian:12-slim
# What the application needs is installed here.
WORKDIR /srv/app
COPY . .
"""
_KINDS: Mapping[str, str] = {
    "rails": "ruby",
    "django": "python",
    "flask": "python",
    "fastapi": "python",
    "node": "node",
    "prisma": "node",
    "typeorm": "node",
    "sequelize": "node",
    "next": "node",
}
_NO_APT = re.compile(r"alpine|distroless|scratch|fedora|centos|rockylinux|redhat|/ubi\d", re.IGNORECASE)


def with_atc(tree: Tree, platform: str, file: str) -> tuple[str, str]:
    """The Dockerfile, with atc as what is started; and what the owner has to know about it, if anything."""
    text = tree.text("Dockerfile")
    if not text.strip():
        return _fresh(tree, platform, file), ""
    if runs_atc(text):
        return text, ""
    stage = _last_stage(text)
    if _NO_APT.search(stage.partition("\n")[0]):
        return text, "Dockerfile stays as it is: its image has no apt-get, so add nginx, Python 3.11 and atc by hand"
    user = _last(stage, "USER")
    folder = _last(stage, "WORKDIR") or "/"
    user = "" if user in ("root", "0") else user
    return f"{text.rstrip()}\n\n{_block(file, folder, user, WRITES.get(platform, ()))}", ""


def runs_atc(text: str) -> bool:
    """Does an image start atc already?"""
    starts = re.findall(r"^\s*(?:ENTRYPOINT|CMD)\b.*$", text, re.MULTILINE | re.IGNORECASE)
    return any(re.search(r"\batc\b[\s\",]+run\b", each) for each in starts)


def _last_stage(text: str) -> str:
    """The instructions that the image is made by: of the last stage, below those of the stages that it is from."""
    stages: dict[str, str] = {}
    stage = ""
    for each in re.split(r"^\s*(?=FROM\s)", text, flags=re.MULTILINE | re.IGNORECASE)[1:]:
        head = re.match(r"FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", each, re.IGNORECASE)
        base, name = (head[1], head[2]) if head else ("", "")
        stage = stages[base.lower()] + each if base.lower() in stages else each
        if name:
            stages[name.lower()] = stage
    return stage


def _last(stage: str, instruction: str) -> str:
    found = re.findall(rf"^\s*{instruction}\s+(\S+)", stage, re.MULTILINE | re.IGNORECASE)
    return str(found[-1]).strip("\"'") if found else ""


def _block(file: str, folder: str, user: str, writes: tuple[str, ...] = ()) -> str:
    data = posixpath.join(folder, DATA)
    own = " ".join([data, *(posixpath.join(folder, each) for each in writes)])
    state = f"{DATA if '$' in folder else data}/.atc"  # arguments have no variables put in; it runs in that directory
    return _BLOCK.format(
        file=file,
        as_root="USER root\n" if user else "",
        as_before=f"RUN mkdir -p {own} && chown -R {user} {own}\nUSER {user}\n" if user else "",
        data=data,
        port=Server().http_port,
        arguments=json.dumps(["--state", state]),
    )


def _fresh(tree: Tree, platform: str, file: str) -> str:
    kind = _KINDS.get(platform, "")
    if kind == "ruby":
        build = build_in_image(tree, platform, file)
        ruby = re.match(r"(?:ruby-)?(\d+\.\d+)", tree.text(".ruby-version").strip())
        head = _RUBY.format(build=f"RUN {build}\n" if build else "", version=ruby[1] if ruby else "3")
    elif kind == "python":
        head = _PYTHON.format(requirements=_requirements(tree))
    elif kind == "node":
        head = _NODE.format(install="ci" if tree.names("package-lock.json") else "install")
    else:
        head = _ANY
    return f"{head}\n{_block(file, '/srv/app', '')}"


def _requirements(tree: Tree) -> str:
    if tree.names("requirements.txt"):
        return "COPY requirements.txt ./\nRUN pip install --no-cache-dir -r requirements.txt\n"
    if tree.names("pyproject.toml"):
        return "COPY pyproject.toml ./\nRUN pip install --no-cache-dir .\n"
    return "# What the application needs is installed here: it has no requirements.txt.\n"

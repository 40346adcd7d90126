"""The section `fleet` of atc.yml: several machines with one file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from atcgen.compiler.section import Section, Short
from atcgen.compiler.values import Duration, MachineWord, PathPattern, Text, Url

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Replaying(Section):
    """How Fly Proxy replays a request that is for another machine."""

    cache: Duration = Field(
        0,
        ge=0,
        le=86_400,
        description="How long Fly Proxy may remember, for each user, which machine it was (at least 10s); 0 is never.",
    )
    timeout: Duration = Field(
        0, ge=0, le=3600, description="After how long a replay is given up; 0 leaves it to Fly Proxy. Not with `cache`."
    )
    fallback: bool = Field(
        False,
        description="When the other machine cannot be had, answer with the waiting page instead of an empty 502. "
        "Not with `cache`.",
    )


class Host(Section):
    """A host that runs atc, where `target` is `proxy`."""

    url: Url = Field(description="Where the others reach it: http:// or https://, a name or an address, and a port.")


class Elsewhere(Section):
    """Requests that something else than a tenant answers, such as a printer of PDFs."""

    path: PathPattern = Field(description="Which paths: `*` is any part of a segment, `**` anything.")
    methods: Annotated[list[Method], Short(empty=list)] = Field(
        default_factory=list, description="Which methods; all when missing."
    )
    app: MachineWord | None = Field(None, description="The app of Fly.io that answers.")
    region: MachineWord | None = Field(None, description="The region of the machine that answers.")
    instance: MachineWord | None = Field(None, description="The machine, or the host of `hosts`, that answers.")


class Fleet(Section):
    """Machines that share one atc.yml."""

    target: Literal["fly", "proxy", "kubernetes"] = Field(
        "fly",
        description="How a request for another machine gets there: by fly-replay, or passed on by nginx to one of "
        "`hosts`, or to a Service of Kubernetes.",
    )
    app: MachineWord | None = Field(None, description="The app of Fly.io; FLY_APP_NAME when missing.")
    address: Url | None = Field(None, description="Where everybody reaches the app; https://APP.fly.dev when missing.")
    secret: Text | None = Field(
        None,
        description="What all machines know and nobody else: it signs what they pass to each other, and `${secret}` of "
        "each tenant follows from it wherever the tenant is. Of an environment variable: `${ENV:NAME}`.",
    )
    replay: Annotated[Replaying, Short("cache")] = Field(
        default_factory=Replaying, description="How Fly Proxy replays; a bare duration is `replay.cache`."
    )
    websocket: Literal["replay", "private"] = Field(
        "replay", description="How WebSockets reach another machine: by fly-replay, or over the private network."
    )
    steer: bool = Field(
        False,
        description="Serve `/USER/_atc/steer.js`, a script that lets the requests of a page find its machine at once.",
    )
    elsewhere: Annotated[list[Elsewhere], Short(empty=list)] = Field(
        default_factory=list, description="Requests that something else than a tenant answers; the first one wins."
    )
    hosts: dict[MachineWord, Annotated[Host, Short("url")]] = Field(
        default_factory=dict, description="The hosts by the names that `instance` calls them."
    )

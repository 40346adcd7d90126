"""The section `hooks` of atc.yml: commands that run when something happens to the machine or to a tenant."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from atcgen.compiler.section import Section, Short
from atcgen.compiler.values import Duration, Text


class Hook(Section):
    """A command that runs at an event."""

    run: Text = Field(description="The command; a shell reads it where it holds what only a shell understands.")
    timeout: Duration = Field(30, ge=0.1, le=3600, description="After how long it is killed with all that it started.")
    retry: int = Field(0, ge=0, le=100, description="How often it is run again when it fails.")


HookList = Annotated[list[Annotated[Hook, Short("run")]], Short(empty=list)]


class ServerHooks(Section):
    """What runs for the whole machine, with the environment of atc."""

    start: HookList = Field(
        default_factory=list, description="Before anything listens. If one fails, atc does not start."
    )
    ready: HookList = Field(default_factory=list, description="Once requests are served.")
    idle: HookList = Field(
        default_factory=list, description="Before the machine goes to sleep. If one fails, it stays awake for a while."
    )
    resume: HookList = Field(
        default_factory=list,
        description="When the machine goes on after `idle` hooks, whether it slept or not; requests wait for it.",
    )
    stop: HookList = Field(default_factory=list, description="When atc ends, within `server.kill_timeout`.")


class TenantHooks(Section):
    """What runs for each tenant, in `app.root`, as the tenant's user and with its environment."""

    start: HookList = Field(
        default_factory=list, description="Before a process of the tenant starts. If one fails, so does the start."
    )
    ready: HookList = Field(default_factory=list, description="Once the process answers.")
    stop: HookList = Field(
        default_factory=list, description="Once no process of the tenant is left; a request may start one meanwhile."
    )


class Hooks(Section):
    """Commands that run when something happens; those of one event run at once."""

    server: Annotated[ServerHooks, Short()] = Field(default_factory=ServerHooks, description="For the machine.")
    tenant: Annotated[TenantHooks, Short()] = Field(default_factory=TenantHooks, description="For each tenant.")
    at_once: int = Field(4, ge=1, le=100, description="How many may run at the same time; the others wait.")

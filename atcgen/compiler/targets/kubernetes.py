"""Kubernetes: a StatefulSet of one, with a volume and a Service, per machine, and an Ingress that leads to them.

A machine is what `instance` calls it; users who name a `region` alone share the one of that region.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from atcgen.compiler import interpolate
from atcgen.compiler.fleet_schema import Machine
from atcgen.compiler.machines import gigabytes, guest_of, merged
from atcgen.compiler.plan import Host
from atcgen.compiler.schema import Config, Level
from atcgen.compiler.source import Document
from atcgen.compiler.targets.dockerfile import APP, dockerfile, state_beside
from atcgen.compiler.targets.variables import variables
from atcgen.diagnostics import Diagnostic

FILE = "kubernetes.yaml"
_PORT = "http"
_SHARED_MILLICPU = 100  # of a shared processor; one of one's own is a whole one


@dataclass(frozen=True)
class Pod:
    """A machine: what it is called, and how atc is told who it is."""

    name: str
    option: str  # --instance or --region
    word: str
    machine: Machine


def files(config: Config, document: Document, host: Host) -> Mapping[str, str]:
    """All manifests in one file; a Dockerfile where there is neither one nor an image."""
    pods = _pods(config)
    volume = posixpath.join(APP, interpolate.expand(config.storage.volume, {}, host.environ))
    mount, state = state_beside(volume)
    app = config.fleet.app or "atc"
    needed = variables(config, document)
    said = [each for pod in pods.values() for each in _machine(config, host, app, pod, mount, state, needed)]
    said += [_ingress(config, app, pods)] if pods else []
    text = "---\n".join(json.dumps(each, indent=2, ensure_ascii=False) + "\n" for each in said)
    found = {FILE: f"# Made by `atc build` from atc.yml.\n{_secret(app, needed)}{text}"} if said else {}
    if said and "Dockerfile" not in host.beside and not config.fleet.machine.image:
        found["Dockerfile"] = dockerfile(config.server.http_port, mount, state)
    return found


def _secret(app: str, needed: tuple[str, ...]) -> str:
    """How the Secret is made that the manifests refer to."""
    literals = " ".join(f"--from-literal={each}=..." for each in needed)
    return f"# They need a Secret: kubectl create secret generic {app} {literals}\n" if needed else ""


def check(config: Config, document: Document, host: Host) -> Iterable[Diagnostic]:
    """Everything fits."""
    return ()


def _pods(config: Config) -> dict[str, Pod]:
    """By name. A user's own size counts where the user names the machine."""
    found: dict[str, Pod] = {}
    levels: list[tuple[Level, Machine]] = [(each, merged(config, each)) for each in config.users.values()]
    levels += [(tenant, config.fleet.machine) for user in config.users.values() for tenant in user.tenants.values()]
    levels += [(each, config.fleet.machine) for each in config.routes]
    for level, machine in levels:
        if name := _name(level):
            option, word = ("--instance", level.instance) if level.instance else ("--region", level.region)
            found.setdefault(name, Pod(name, option, word or "", machine))
    return found


def _name(level: Level) -> str:
    """A name that DNS can carry; '' for whoever is anywhere."""
    word = level.instance or level.region or ""
    return f"atc-{re.sub('[^a-z0-9]+', '-', word.lower()).strip('-')}" if word else ""


def _machine(
    config: Config, host: Host, app: str, pod: Pod, mount: str, state: str, needed: tuple[str, ...]
) -> tuple[Mapping[str, object], Mapping[str, object]]:
    labels = {"app.kubernetes.io/name": app, "app.kubernetes.io/instance": pod.name}
    port = {"name": _PORT, "port": config.server.http_port, "targetPort": _PORT}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": pod.name, "labels": labels},
        "spec": {"selector": labels, "ports": [port]},
    }
    storage = {"requests": {"storage": f"{gigabytes(pod.machine)}Gi"}}
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": storage}}
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": int(config.server.kill_timeout),
            "containers": [_container(config, host, app, pod, mount, state, needed)],
        },
    }
    stateful_set = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": pod.name, "labels": labels},
        "spec": {
            "serviceName": pod.name,
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": template,
            "volumeClaimTemplates": [claim],
        },
    }
    return service, stateful_set


def _container(
    config: Config, host: Host, app: str, pod: Pod, mount: str, state: str, needed: tuple[str, ...]
) -> Mapping[str, object]:
    guest = guest_of(pod.machine)
    cpu = f"{guest.cpus * _SHARED_MILLICPU}m" if guest.kind == "shared" else str(guest.cpus)
    memory = f"{guest.memory_mb}Mi"
    env = [{"name": each, "valueFrom": {"secretKeyRef": {"name": app, "key": each}}} for each in needed]
    return {
        "name": "atc",
        "image": interpolate.expand(pod.machine.image or f"{app}:latest", {}, host.environ),
        "args": ["--state", state, pod.option, pod.word],
        **({"env": env} if env else {}),
        "ports": [{"name": _PORT, "containerPort": config.server.http_port}],
        "readinessProbe": {"httpGet": {"path": f"/{config.server.health_check_path}", "port": _PORT}},
        "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}},
        "volumeMounts": [{"name": "data", "mountPath": mount}],
    }


def _ingress(config: Config, app: str, pods: Mapping[str, Pod]) -> Mapping[str, object]:
    """Users' paths and tenants' hosts to their machine; everything else to the first, which passes it on."""

    def path(prefix: str, name: str) -> Mapping[str, object]:
        backend = {"service": {"name": name, "port": {"name": _PORT}}}
        return {"path": prefix, "pathType": "Prefix", "backend": backend}

    first = next(iter(pods))
    users = [path(f"/{user}", _name(each)) for user, each in config.users.items() if _name(each)]
    tenants = [(each, user) for user in config.users.values() for each in user.tenants.values()]
    hosts = [(each.host, _name(each) or _name(user)) for each, user in tenants if each.host]
    hosts += [(each.host, _name(each)) for each in config.routes if each.host]
    rules: list[Mapping[str, object]] = [
        {"host": name, "http": {"paths": [path("/", machine or first)]}} for name, machine in hosts
    ]
    rules.append({"http": {"paths": [*users, path("/", first)]}})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": app, "labels": {"app.kubernetes.io/name": app}},
        "spec": {"rules": rules},
    }

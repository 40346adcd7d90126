"""Files for hosts of one's own and for Kubernetes, judged by what reads them."""

from __future__ import annotations

import configparser
import shlex
from typing import Any

import pytest
import yaml

from tests.compiler.test_targets import files_of
from tests.docs.pages import ROOT

HOSTS = """\
fleet: {target: proxy, hosts: {one: http://one.example:8080, two: http://two.example:8080}}
server: {kill_timeout: 30, http_port: 9000}
storage: {volume: /data/tenants}
users: {a: {instance: one, tenants: {x: {}}}, b: {instance: two, tenants: {x: {}}}}
"""
NEEDY = """\
storage: {replica: "s3://bucket/tenants"}
app: {start: "serve ${socket}", env: {KEY: "${ENV:MAIL_KEY}", HOME: "${ENV:HOME}"}}
"""
SECRET = "secret: '${ENV:FLEET_SECRET}', "
SET = {"FLEET_SECRET": "value-of-it", "MAIL_KEY": "value-of-it", "HOME": "/home/app"}
NEEDED = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "FLEET_SECRET", "MAIL_KEY"]
PODS = """\
fleet: {target: kubernetes, app: shows, machine: {image: "shows:7", memory: 512MB, volume: 3GB}}
server: {kill_timeout: 30}
storage: {volume: /data/tenants}
users:
  a: {instance: Big_One, machine: performance-1x, tenants: {x: {}, y: {host: y.example}}}
  b: {instance: Big_One, tenants: {x: {}}}
  c: {region: ams, tenants: {x: {}, z: {instance: two, host: z.example}}}
  d: {tenants: {x: {}}}
routes: [{endpoint: /old, region: lhr}, {name: r, host: r.example}]
"""


def manifests(text: str = PODS) -> list[dict[str, Any]]:
    """Every object of kubernetes.yaml."""
    return list(yaml.safe_load_all(files_of(text, environ=SET)["kubernetes.yaml"]))


def needy(text: str) -> str:
    """With a secret, an application that wants a variable, and a store that wants keys."""
    return text.replace("fleet: {", f"fleet: {{{SECRET}").replace("storage: {volume: /data/tenants}\n", NEEDY)


def of(kind: str) -> dict[str, dict[str, Any]]:
    """Those of a kind, by name."""
    return {each["metadata"]["name"]: each for each in manifests() if each["kind"] == kind}


def test_kubernetes_takes_the_manifests() -> None:
    """By the schemas of Kubernetes itself, with no key that they do not know."""
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")

    found = [*manifests(), *manifests(needy(PODS))]
    assert found
    for each in found:
        validator.validate(each, "1.31", strict=True)


def test_each_machine_is_a_pod_with_its_disk_and_its_name() -> None:
    """One per instance, and one per region that is named alone."""
    sets = of("StatefulSet")
    options = {name: each["spec"]["template"]["spec"]["containers"][0]["args"][2:] for name, each in sets.items()}

    assert options == {
        "atc-big-one": ["--instance", "Big_One"],
        "atc-ams": ["--region", "ams"],
        "atc-two": ["--instance", "two"],
        "atc-lhr": ["--region", "lhr"],
    }
    assert set(of("Service")) == set(sets)
    spec = sets["atc-ams"]["spec"]
    (container,), pod = spec["template"]["spec"]["containers"], spec["template"]["spec"]
    assert spec["replicas"] == 1
    assert spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "3Gi"
    assert container["volumeMounts"][0]["mountPath"] == "/data"
    assert container["args"][:2] == ["--state", "/data/atc"]
    assert container["image"] == "shows:7"
    assert container["resources"]["limits"]["memory"] == "512Mi"
    assert container["readinessProbe"]["httpGet"]["path"] == "/up"
    assert pod["terminationGracePeriodSeconds"] == 30
    big = sets["atc-big-one"]["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert big["requests"] == {"cpu": "1", "memory": "2048Mi"}


def test_pods_get_what_atc_yml_needs_from_a_secret() -> None:
    """Which is named, with the command that makes it; no value of it is in the file."""
    text = files_of(needy(PODS), environ=SET)["kubernetes.yaml"]
    sets = [each for each in manifests(needy(PODS)) if each["kind"] == "StatefulSet"]

    assert len(sets) == 4
    for each in sets:
        env = each["spec"]["template"]["spec"]["containers"][0]["env"]
        assert [one["name"] for one in env] == NEEDED
        assert [one["valueFrom"]["secretKeyRef"] for one in env] == [{"name": "shows", "key": one} for one in NEEDED]
    literals = " ".join(f"--from-literal={one}=..." for one in NEEDED)
    assert f"kubectl create secret generic shows {literals}\n" in text
    assert "value-of" not in text


def test_hosts_get_what_atc_yml_needs() -> None:
    """Compose refuses to start without it; the unit reads a file and says what belongs there."""
    found = files_of(needy(HOSTS), environ=SET)
    service = yaml.safe_load(found["hosts/one/compose.yml"])["services"]["atc"]
    unit = found["hosts/one/atc.service"]

    assert service["environment"] == {each: f"${{{each}?atc.yml needs it}}" for each in NEEDED}
    assert "EnvironmentFile=-/etc/atc/environment\nExecStart=" in unit
    assert f"NAME=value each: {', '.join(NEEDED)}.\n" in unit
    assert "value-of" not in "".join(found.values())


def test_the_ingress_leads_to_the_machine_of_each_user() -> None:
    """By path and by host; the rest to the first."""
    rules = of("Ingress")["shows"]["spec"]["rules"]
    led = {
        (rule.get("host", ""), each["path"]): each["backend"]["service"]["name"]
        for rule in rules
        for each in rule["http"]["paths"]
    }

    assert led == {
        ("y.example", "/"): "atc-big-one",
        ("z.example", "/"): "atc-two",
        ("r.example", "/"): "atc-big-one",
        ("", "/a"): "atc-big-one",
        ("", "/b"): "atc-big-one",
        ("", "/c"): "atc-ams",
        ("", "/"): "atc-big-one",
    }


def test_each_host_has_a_unit_and_a_compose_file() -> None:
    """Both start atc as that host, and wait long enough at its end."""
    found = files_of(HOSTS)
    assert set(found) == {
        f"hosts/{each}/{file}" for each in ("one", "two") for file in ("atc.service", "compose.yml")
    } | {"Dockerfile"}
    service = yaml.safe_load(found["hosts/two/compose.yml"])["services"]["atc"]
    unit = configparser.RawConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(found["hosts/two/atc.service"])

    assert service["command"] == ["--state", "/data/atc", "--instance", "two"]
    assert service["volumes"] == ["atc:/data"]
    assert service["stop_grace_period"] == "30s"
    assert service["ports"] == ["9000:9000"]
    words = shlex.split(unit["Service"]["ExecStart"])
    assert words[1:] == ["run", "--state", "/var/lib/atc", "--instance", "two"]
    assert unit["Service"]["TimeoutStopSec"] == "55"


def test_the_unit_is_the_one_of_the_documentation() -> None:
    """But for its name and its times."""
    ours = files_of(HOSTS.replace("kill_timeout: 30", "kill_timeout: 5"))["hosts/one/atc.service"]
    said = (ROOT / "docs/atc.service").read_text(encoding="utf-8")

    assert ours.partition("\n")[2].replace(" --instance one", "") == said

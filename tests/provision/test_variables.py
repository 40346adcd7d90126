"""Machines are made on a computer that has not got the variables of their tenants."""

from __future__ import annotations

import pytest

from atcgen.errors import Rejected
from atcgen.provision.variables import with_those_of_tenants
from tests.compiler.compiling import compiled, machine

TEXT = """\
app: {start: x, env: {KEY: '${ENV:KEY}', BOTH: '${ENV:BUCKET}'}}
storage: {replica: 's3://${ENV:BUCKET}/copies'}
users: {a: {region: sea, machine: {image: 'shows:${ENV:TAG}'}, tenants: {x: {env: {MORE: '${ENV:MORE}'}}}}}
"""


def test_what_only_tenants_get_need_not_be_set() -> None:
    host = with_those_of_tenants(machine(environ={"BUCKET": "shows", "TAG": "1"}), TEXT, "atc.yml")
    assert compiled(TEXT, host).plan.store.url == "s3://shows/copies"
    assert dict(host.environ) == {"BUCKET": "shows", "TAG": "1", "KEY": "", "MORE": ""}


@pytest.mark.parametrize("missing", ["BUCKET", "TAG"])
def test_what_a_machine_or_the_store_depends_on_has_to_be_set(missing: str) -> None:
    environ = {name: "1" for name in ("BUCKET", "TAG") if name != missing}
    with pytest.raises(Rejected, match=f"{missing} is not set"):
        compiled(TEXT, with_those_of_tenants(machine(environ=environ), TEXT, "atc.yml"))

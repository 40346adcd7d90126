"""What the schema rejects, in the words of diagnostics: the kind of problem, and what the value must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atcgen.compiler.values import NumberForText
from atcgen.diagnostics import Code

_CODES = {
    "greater_than_equal": Code.OUT_OF_RANGE,
    "less_than_equal": Code.OUT_OF_RANGE,
    "int_type": Code.WRONG_TYPE,
    "bool_type": Code.WRONG_TYPE,
    "string_type": Code.WRONG_TYPE,
    "dict_type": Code.WRONG_TYPE,
    "list_type": Code.WRONG_TYPE,
    "model_type": Code.WRONG_TYPE,
}

_SENTENCES: dict[str, Callable[[dict[str, Any]], str]] = {
    "int_type": lambda _: "must be a whole number",
    "bool_type": lambda _: "must be true or false",
    "string_type": lambda _: "must be text",
    "dict_type": lambda _: "must be a mapping",
    "model_type": lambda _: "must be a mapping",
    "list_type": lambda _: "must be a list",
    "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']:.0f}",
    "less_than_equal": lambda ctx: f"must be at most {ctx['le']:.0f}",
    "literal_error": lambda ctx: f"must be {ctx['expected']}",
    "value_error": lambda ctx: str(ctx["error"]),
}


def code(error: Any) -> Code:
    """The kind of problem a pydantic error is."""
    if isinstance(error.get("ctx", {}).get("error"), NumberForText):
        return Code.YAML_SURPRISE
    return _CODES.get(error["type"], Code.BAD_VALUE)


def must(error: Any) -> str:
    """The end of a sentence that begins with the value."""
    sentence = _SENTENCES.get(error["type"])
    return sentence(error.get("ctx", {})) if sentence else str(error["msg"])


def choices(error: Any) -> list[str]:
    """The words one of which it must be; none when it is not about words."""
    if error["type"] != "literal_error":
        return []
    return [each.strip("' ") for each in error["ctx"]["expected"].replace(" or ", ",").split(",")]

"""What every section of atc.yml is: strict, and with shorter spellings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function


class Section(BaseModel):
    """A mapping of atc.yml: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True)
class Short:
    """Shorter spellings of a mapping or a list: nothing at all is an empty one, and, where `key` says so, a plain value
    is a mapping with that one key. Editors are told the same.
    """

    key: str | None = None
    empty: type[dict[str, Any] | list[Any]] = dict

    def expand(self, value: Any) -> Any:
        """What a short spelling stands for."""
        if value is None:
            return self.empty()
        return {self.key: value} if self.key is not None and not isinstance(value, dict) else value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        short = [] if self.key is None else [{"type": ["string", "number"]}]
        return {"anyOf": [handler(schema), *short, {"type": "null"}]}

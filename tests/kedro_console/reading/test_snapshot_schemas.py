"""JSON schemas of parameters, from the types that nodes ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snapshots import problem, project_of_one, snapshot

# ---- schemas -------------------------------------------------------------------------------------


def schemas(tmp_path: Path, nodes: str, inputs: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    return snapshot(project_of_one(tmp_path, nodes, inputs=inputs, parameters=parameters)).schemas


PLAIN = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "'int'": {"type": "integer"},
    "Literal['a', 'b']": {"enum": ["a", "b"], "type": "string"},
    "Colour": {"enum": ["red", "blue"], "type": "string", "title": "Colour"},
    "List[int]": {"type": "array", "items": {"type": "integer"}},
    "Dict[str, float]": {"type": "object", "additionalProperties": {"type": "number"}},
    "Optional[str]": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "datetime.date": {"type": "string", "format": "date"},
}


def test_plain_annotations_give_schemas(tmp_path: Path) -> None:
    names = {f"x{number}": annotation for number, annotation in enumerate(PLAIN)}
    arguments = ", ".join(f"{name}: {annotation}" for name, annotation in names.items())
    nodes = f"""
import datetime, enum
from typing import Dict, List, Literal, Optional

class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"

def work({arguments}):
    return 1
"""
    found = schemas(tmp_path, nodes, [f"params:{name}" for name in names], dict.fromkeys(names, 1))
    assert {annotation: found[name] for name, annotation in names.items()} == PLAIN


def test_a_pydantic_model_gives_its_whole_schema(tmp_path: Path) -> None:
    nodes = """
        from pydantic import BaseModel, Field

        class Options(BaseModel):
            size: float = Field(0.2, gt=0, lt=1, description="share of the rows")

        def work(options: Options):
            return 1
    """
    schema = schemas(tmp_path, nodes, "params:options", {"options": {"size": 0.3}})["options"]
    size = schema["properties"]["size"]
    assert (size["exclusiveMinimum"], size["default"], size["description"]) == (0, 0.2, "share of the rows")


def test_a_dataclass_gives_an_object_with_defaults(tmp_path: Path) -> None:
    nodes = """
        from dataclasses import dataclass, field

        @dataclass
        class Inner:
            deep: bool = True

        @dataclass
        class Options:
            name: str
            sizes: list = field(default_factory=lambda: [1])
            inner: Inner = field(default_factory=Inner)

        def work(options: Options):
            return 1
    """
    schema = schemas(tmp_path, nodes, "params:options", {"options": {"name": "x"}})["options"]
    assert schema["required"] == ["name"]
    assert schema["properties"]["sizes"] == {"type": "array", "default": [1]}
    assert schema["properties"]["inner"]["properties"] == {"deep": {"type": "boolean", "default": True}}


def test_nested_parameters_and_inputs_by_name_have_schemas_too(tmp_path: Path) -> None:
    nodes = "def work(share: float, rest: 'NoSuchName'):\n    return 1\n"
    inputs = {"rest": "params:other", "share": "params:options.test_size"}
    found = schemas(tmp_path, nodes, inputs, {"options": {"test_size": 0.2}, "other": 1})
    assert found == {"options.test_size": {"type": "number"}}


def test_a_type_without_a_schema_is_named(tmp_path: Path) -> None:
    nodes = """
        from typing import Callable
        from pydantic import BaseModel

        class Options(BaseModel):
            call: Callable[[int], int]

        def work(options: Options):
            return 1
    """
    picture = snapshot(project_of_one(tmp_path, nodes, inputs="params:options", parameters={"options": {}}))
    assert picture.schemas == {}
    assert problem(picture, "parameter:options").severity == "warning"


def test_a_type_may_mark_a_secret(tmp_path: Path) -> None:
    nodes = """
from dataclasses import dataclass, field
try:
    from typing import Annotated
except ImportError:
    from typing_extensions import Annotated

@dataclass
class Login:
    who: str
    word: str = field(default="sesame", metadata={"secret": True})

def work(login: Login, pin: Annotated[int, "secret"], city: str):
    return 1
"""
    found = schemas(
        tmp_path, nodes, ["params:login", "params:pin", "params:city"],
        {"login": {"who": "olga", "word": "x"}, "pin": 4711, "city": "Bonn"},
    )  # fmt: skip
    assert found["login"]["properties"]["word"]["writeOnly"] is True and found["pin"]["writeOnly"] is True
    assert "sesame" not in str(found)
    assert "writeOnly" not in found["login"]["properties"]["who"] and "writeOnly" not in found["city"]

"""Conditions and mappings of rules: JMESPath with arithmetic, bounded in length, depth, work and size."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Final, TypedDict

from jmespath import exceptions, functions
from jmespath.parser import Parser
from jmespath.visitor import Options, TreeInterpreter

from jobs.errors import RequestError, did_you_mean, nearest_of
from kedro_console.wire import Json

LONGEST: Final = 2_000  # characters
DEEPEST: Final = 50
MOST_STEPS: Final = 50_000
MOST_WORK: Final = 1_000_000  # values compared or copied inside one function
LARGEST_INPUT: Final = 200_000  # values
LARGEST_NUMBER: Final = 10**18
A_UNIT: Final = 20  # characters that count as one value
COMPARABLE: Final = (int, float, str)


class Node(TypedDict):
    """A part of an expression, as JMESPath reads it."""

    type: str
    value: str
    children: Sequence[Node | int | None]


class BadExpression(RequestError):
    """An expression that cannot be read, or that has no answer; the sentence says where or why."""


class Arithmetic(functions.Functions):
    """What JMESPath lacks for computing the parameters of the next run."""

    @functions.signature({"types": ["number"]}, {"types": ["number"]})
    def _func_add(self, left: float, right: float) -> float:
        return left + right

    @functions.signature({"types": ["number"]}, {"types": ["number"]})
    def _func_subtract(self, left: float, right: float) -> float:
        return left - right

    @functions.signature({"types": ["number"]}, {"types": ["number"]})
    def _func_multiply(self, left: float, right: float) -> float:
        return left * right

    @functions.signature({"types": ["number"]}, {"types": ["number"]})
    def _func_divide(self, left: float, right: float) -> float:
        if right == 0:
            raise BadExpression(f"divide({left}, 0): nothing can be divided by 0.")
        return left / right

    @functions.signature({"types": ["number"], "variadic": True})
    def _func_least(self, *numbers: float) -> float:
        return min(numbers)

    @functions.signature({"types": ["number"], "variadic": True})
    def _func_greatest(self, *numbers: float) -> float:
        return max(numbers)

    @functions.signature({"types": ["boolean", "null"]}, {"types": []}, {"types": []})
    def _func_if(self, condition: bool | None, then: Json, otherwise: Json) -> Json:
        return then if condition else otherwise

    def _type_check_single(self, current: object, types: list[str], function_name: str) -> None:
        super()._type_check_single(current, types, function_name)
        if "number" in types and isinstance(current, float) and not math.isfinite(current):
            raise BadExpression(f"{function_name}() was given {current}, which is not a finite number.")


def parse(text: str) -> Node:
    """The expression's tree; BadExpression with the place of the mistake."""
    if len(text) > LONGEST:
        raise BadExpression(f"An expression has at most {LONGEST:,} characters; this one has {len(text):,}.")
    try:
        tree: Node = Parser().parse(text).parsed
        for node, depth in _walk(tree):
            _check_node(text, node, depth)
    except RecursionError as error:
        raise BadExpression(f"Nested deeper than {DEEPEST} levels.") from error
    except exceptions.JMESPathError as error:
        raise BadExpression(_mistake(text, error)) from error
    return tree


def _walk(tree: Node) -> Iterator[tuple[Node, int]]:
    stack = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        yield node, depth
        stack += [(child, depth + 1) for child in _inner(node)]


def _inner(node: Node) -> list[Node]:
    return [child for child in node["children"] if isinstance(child, dict)]


def _check_node(text: str, node: Node, depth: int) -> None:
    if depth > DEEPEST:
        raise BadExpression(f"Nested deeper than {DEEPEST} levels.")
    if node["type"] != "function_expression":
        return
    name, given = node["value"], len(node["children"])
    place = f"Character {text.find(name) + 1}: "
    spec = Arithmetic.FUNCTION_TABLE.get(name)
    if spec is None:
        meant = nearest_of(name, Arithmetic.FUNCTION_TABLE, 2, 0.6) or ["add"]
        raise BadExpression(f"{place}there is no function {name}().{did_you_mean(meant)}")
    wanted, is_open = len(spec["signature"]), bool(spec["signature"] and spec["signature"][-1].get("variadic"))
    if given < wanted or (given > wanted and not is_open):
        raise BadExpression(f"{place}{name}() takes {'at least ' if is_open else ''}{wanted} values, not {given}.")


def _mistake(text: str, error: exceptions.JMESPathError) -> str:
    if isinstance(error, exceptions.EmptyExpressionError):
        return "Write an expression."
    if isinstance(error, exceptions.LexerError):
        return f"Character {error.lexer_position + 1}: {error.message.rstrip('.')}."
    position, token = getattr(error, "lex_position", None), getattr(error, "token_value", None)
    if not token or position is None:
        return f"Character {len(text)}: the expression ends too early."
    return f"Character {position + 1}: “{token}” does not belong there."


class Evaluation:
    """Expressions over one input, which share what they may cost."""

    def __init__(self, seen: Json) -> None:
        self._seen = seen
        self._interpreter = _Bounded()
        self._interpreter.admit(seen)

    def value(self, text: str) -> Json:
        """What the expression gives; BadExpression when it cannot be read, computed, or costs too much."""
        tree = parse(text)
        try:
            return self._interpreter.visit(tree, self._seen)
        except exceptions.JMESPathTypeError as error:
            given = _short(error.current_value)
            raise BadExpression(f"{error.function_name}() cannot take {given} ({error.actual_type}).") from error
        except (exceptions.JMESPathError, TypeError, ValueError, ArithmeticError) as error:
            raise BadExpression(f"It cannot be computed: {str(error)[:200]}.") from error
        except RecursionError as error:
            raise BadExpression(f"Nested deeper than {DEEPEST} levels.") from error

    def holds(self, text: str) -> bool:
        """Whether a condition is true; what it looks for and does not find is false."""
        value = self.value(text)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise BadExpression(f"A condition is true or false, and this one gives {_short(value)}: compare it.")


class _Bounded(TreeInterpreter):
    """Counts what an evaluation costs, so that no expression can hold up the end of a run."""

    def __init__(self) -> None:
        super().__init__(Options(custom_functions=Arithmetic()))
        self._steps = self._work = 0
        self._weights: dict[int, tuple[int, int]] = {}
        self._kept: list[Json] = []  # as long as they are weighed by identity they must live

    def admit(self, seen: Json) -> None:
        if self._weigh(seen)[0] > LARGEST_INPUT:
            raise BadExpression(f"The run left more than {LARGEST_INPUT:,} values, too many for an expression.")

    def visit(self, node: Node, *args: Json, **options: Json) -> Json:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise BadExpression(f"It takes more than {MOST_STEPS:,} steps: make it simpler.")
        value: Json = super().visit(node, *args, **options)
        if isinstance(value, dict | list):
            self._charge(len(value))
            self._weigh(value)
        elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise BadExpression(f"A number grew beyond {LARGEST_NUMBER:,}.")
        return value

    def visit_comparator(self, node: Node, value: Json) -> Json:
        left, right = (self.visit(child, value) for child in _inner(node))
        self._charge(self._weigh(left)[0] + self._weigh(right)[0])
        is_equality = node["value"] in self._EQUALITY_OPS
        if not is_equality and not (_is_comparable(left) and _is_comparable(right) and _same_kind(left, right)):
            return None
        answer: Json = self.COMPARATOR_FUNC[node["value"]](left, right)
        return answer

    def visit_function_expression(self, node: Node, value: Json) -> Json:
        arguments = [self.visit(child, value) for child in _inner(node)]
        self._charge(sum(self._weigh(argument)[0] for argument in arguments))
        result: Json = self._functions.call_function(node["value"], arguments)
        self._charge(self._weigh(result)[0])
        return result

    def _charge(self, units: int) -> None:
        self._work += units
        if self._work > MOST_WORK:
            raise BadExpression("It handles too much data: make it simpler.")

    def _weigh(self, value: Json, level: int = 0) -> tuple[int, int]:
        """How many values a value holds, and how deep it goes; what was weighed once costs nothing."""
        if isinstance(value, str):
            return 1 + len(value) // A_UNIT, 0
        if not isinstance(value, dict | list):
            return 1, 0
        if known := self._weights.get(id(value)):
            return known
        if level > DEEPEST:
            raise BadExpression(f"The value is nested deeper than {DEEPEST} levels.")
        inner = [self._weigh(part, level + 1) for part in (value.values() if isinstance(value, dict) else value)]
        found = 1 + sum(weight for weight, _ in inner), 1 + max((depth for _, depth in inner), default=0)
        if found[0] > MOST_WORK or found[1] > DEEPEST:
            raise BadExpression("The value grows too large: make it simpler.")
        self._weights[id(value)] = found
        self._kept.append(value)
        return found


def _is_comparable(value: Json) -> bool:
    return isinstance(value, COMPARABLE) and not isinstance(value, bool)


def _same_kind(left: Json, right: Json) -> bool:
    return isinstance(left, str) == isinstance(right, str)


def _short(value: Json) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]}…"

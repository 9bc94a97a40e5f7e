"""The run-time type checker of the tests: beartype, with an int accepted where a float is wanted (PEP 484's numeric tower).

In every test each function of the package is checked in its first calls, and then in every few. Loops call some functions
thousands of times with the same shapes; checking all of these calls took a fifth of the time of the tests.
"""

import ast
from collections import Counter
from collections.abc import Callable
from functools import wraps
from types import CodeType

import jaxtyping._import_hook as hook
from beartype import BeartypeConf, beartype
from jaxtyping import jaxtyped

FIRST, EVERY = 20, 16
"""Calls of a function that are all checked in a test, and the period of those that are checked later."""
_calls: Counter[CodeType] = Counter()

strict = beartype(conf=BeartypeConf(is_pep484_tower=True))


def begin() -> None:
    """A new test: all functions are checked again from their first call."""
    _calls.clear()


def checked(function: Callable) -> Callable:
    """What the import hook puts on every function, also on one that is made anew in each call of another."""
    code, made = function.__code__, []

    @wraps(function)
    def call(*args, **kwargs):
        _calls[code] = number = _calls[code] + 1
        if number > FIRST and number % EVERY:
            return function(*args, **kwargs)
        if not made:
            made.append(jaxtyped(function, typechecker=strict))
        return made[0](*args, **kwargs)

    return call


def _visit(transformer: hook.JaxtypingTransformer, node: ast.FunctionDef) -> ast.FunctionDef:
    node.decorator_list.append(ast.copy_location(ast.parse("__import__('checker').checked", mode="eval").body, node))
    transformer.generic_visit(node)
    return node


hook.JaxtypingTransformer.visit_FunctionDef = _visit  # jaxtyping's own decorates classes, and functions for every call

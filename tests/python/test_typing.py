"""The stubs of the extension module name what it holds, and nothing else."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ecseq
from ecseq import _core

STUBS = ast.parse(Path(ecseq.__file__).with_name("_core.pyi").read_text(encoding="utf-8"))


def is_public(name: str) -> bool:
    return not name.startswith("_")


def only_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(
        isinstance(decorator, ast.Name) and decorator.id == "type_check_only"
        for decorator in node.decorator_list
    )


def declared(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    names = {}
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node
    return {
        name: node
        for name, node in names.items()
        if is_public(name) and not only_for_type_checkers(node)
    }


def registered(owner: object) -> set[str]:
    return set(filter(is_public, vars(owner)))


CLASSES = {
    name: node for name, node in declared(STUBS.body).items() if isinstance(node, ast.ClassDef)
}


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for owner, body in [("", STUBS.body), *((name, node.body) for name, node in CLASSES.items())]:
        for name, node in declared(body).items():
            if isinstance(node, ast.FunctionDef):
                yield f"{owner}.{name}" if owner else name, node


def test_the_module_holds_the_declared_names() -> None:
    assert set(declared(STUBS.body)) == registered(_core)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_holds_the_declared_names(name: str) -> None:
    found = getattr(_core, name)
    assert inspect.isclass(found)
    assert set(declared(CLASSES[name].body)) == registered(found)
    bases = [base.__name__ for base in found.__bases__ if base.__name__ != "pybind11_object"]
    assert bases == [ast.unparse(base) for base in CLASSES[name].bases]


@pytest.mark.parametrize(("name", "stub"), [pytest.param(*f, id=f[0]) for f in functions()])
def test_a_function_is_of_the_declared_kind_and_takes_the_declared_arguments(
    name: str, stub: ast.FunctionDef
) -> None:
    owner, _, attribute = name.rpartition(".")
    holder = getattr(_core, owner) if owner else _core
    kinds = [ast.unparse(decorator) for decorator in stub.decorator_list]
    found = inspect.getattr_static(holder, attribute)
    assert isinstance(found, property) == ("property" in kinds)
    assert isinstance(found, staticmethod) == ("staticmethod" in kinds)
    if "property" in kinds:
        return
    # pybind11 writes the signature into the docstring's first line.
    signature = getattr(holder, attribute).__doc__.splitlines()[0]
    assert re.findall(r"(?:\(|, )(\w+): ", signature) == [a.arg for a in stub.args.args]

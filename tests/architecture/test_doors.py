"""Commits, imports of Optuna and reads of the environment each happen in a single file."""

from __future__ import annotations

import ast
import sys

import pytest

from tests.architecture.sources import PROGRAMS, files_where, imported_modules, imports, nodes, python_files, relative

IMPURE_MODULES = {"datetime", "os", "random", "secrets", "sys", "threading", "time"}


def _commits(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("commit", "begin")


def _reads_environment(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv"):
            return True
        case ast.ImportFrom(module="os", names=names):
            return any(alias.name in ("environ", "environb", "getenv") for alias in names)
        case ast.ClassDef(bases=bases):
            return any(isinstance(base, ast.Name) and base.id == "BaseSettings" for base in bases)
        case ast.keyword(arg="envvar"):
            return True
    return False


def _imports_private_names_of_optuna(node: ast.AST) -> bool:
    names = [name for name in imported_modules(node) if name.split(".")[0] == "optuna"]
    if names and isinstance(node, ast.ImportFrom):
        names += [alias.name for alias in node.names]
    return any(part.startswith("_") for name in names for part in name.split("."))


def _reads_private_attributes_of_others(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")):
        return False
    return not (isinstance(node.value, ast.Name) and node.value.id == "self")


def test_one_file_commits() -> None:
    assert files_where(_commits, *PROGRAMS) == {"service/store/database.py"}


def test_one_file_imports_optuna() -> None:
    assert len(files_where(imports("optuna"), *PROGRAMS)) == 1
    assert len(files_where(imports("optuna"), "service/search")) == 1


def test_the_server_uses_nothing_private_of_optuna() -> None:
    assert files_where(_imports_private_names_of_optuna, *PROGRAMS) == set()
    (door,) = files_where(imports("optuna"), *PROGRAMS)
    assert files_where(_reads_private_attributes_of_others, door) == set()


# A training script is started by its user or by a launcher, not by lehr's command line: what that says of ranks.
LAUNCHED = {"lehr/script/ranks.py"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_one_file_in_each_program_reads_the_environment(program: str) -> None:
    assert len(files_where(_reads_environment, program) - LAUNCHED) <= 1


# For training scripts, which have the framework; a test shows that nothing of lehr loads torch by itself.
FRAMEWORKS = {"torch": "lehr/torch.py", "transformers": "lehr/transformers.py", "lightning": "lehr/lightning.py",
              "keras": "lehr/keras.py"}  # fmt: skip


@pytest.mark.parametrize(("framework", "door"), FRAMEWORKS.items())
def test_each_framework_has_one_door_in_lehr_which_nothing_else_opens(framework: str, door: str) -> None:
    assert files_where(imports(framework), "lehr", "service") == {door}
    assert files_where(imports(f"lehr.{framework}"), "lehr", "service", "workers") == set()


def test_only_the_server_imports_sqlalchemy() -> None:
    assert files_where(imports("sqlalchemy"), "lehr", "workers") == set()


def test_schedules_need_nothing_but_mathematics_and_numpy_only_for_whole_curves() -> None:
    pure = sys.stdlib_module_names - IMPURE_MODULES
    foreign = {
        f"{relative(path)}: {module}"
        for path in python_files("lehr/schedules")
        for node in nodes(path)
        for module in imported_modules(node)
        if module.split(".")[0] not in pure and not module.startswith(("lehr.schedules", "lehr.errors"))
    }
    door = "lehr/schedules/arrays.py"
    assert foreign <= {f"{door}: numpy", f"{door}: numpy.typing"}


def test_no_forecast_can_stop_a_trial_for_nothing_that_searches_or_leases_knows_of_one() -> None:
    assert files_where(imports("service.forecast"), "service/search", "service/ledger") == set()

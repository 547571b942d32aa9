"""Which hooks count on one process for a whole run is read in their code; harmless ones are left alone."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from kedro_console.reading.hooks_seen import implemented, reasons_of

HEAD = """
import logging, time, os
from kedro.framework.hooks import hook_impl
log = logging.getLogger(__name__)
COUNTS = {}
"""


@pytest.fixture
def reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def found(body: str, name: str = "Hooks") -> list[str]:
        file = tmp_path / "the_hooks.py"
        file.write_text(HEAD + body)
        module = types.ModuleType("the_hooks")
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, "the_hooks", module)
        exec(compile(file.read_text(), str(file), "exec"), module.__dict__)
        hooks = module if name == "module" else getattr(module, name)()
        return list(reasons_of(name, hooks, implemented(hooks)))

    return found


CARRYING = {
    "an attribute": ("before_node_run", "self.last = node.name"),
    "a dict": ("after_node_run", "self.seconds[node.name] = 1"),
    "a list": ("after_node_run", "self.rows.append(node.name)"),
    "a nested list": ("after_node_run", "self.rows[0].seen.append(node.name)"),
    "a counter": ("on_node_error", "self.count += 1"),
    "a global": ("before_node_run", "global COUNTS\n        COUNTS = {node.name: 1}"),
    "a module's dict": ("before_node_run", "COUNTS[node.name] = time.time()"),
    "a class attribute": ("before_node_run", "Hooks.count = 1"),
    "setattr": ("before_node_run", "setattr(self, node.name, 1)"),
    "the environment": ("before_node_run", "os.environ['NODE'] = node.name"),
    "a method of its own": ("before_node_run", "self._note(node)"),
    "an object of its own": ("before_node_run", "self.stats.take(node)"),
    "a tuple": ("before_node_run", "self.a, self.b = node.name, 1"),
    "the catalog": ("after_node_run", "catalog.save('x', 1)"),
    "a kept catalog": ("after_node_run", "self._catalog.save('x', 1)"),
    "an entry": ("after_node_run", "catalog['x'] = 1"),
    "a whole pipeline": ("after_pipeline_run", "open('report.txt', 'w').write('x')"),
    "its beginning": ("before_pipeline_run", "self.begun = time.time()"),
    "its error": ("on_pipeline_error", "open('error.txt', 'w')"),
    "data at the start": ("after_catalog_created", "catalog.add_feed_dict({'x': 1})"),
    "the catalog itself": ("after_catalog_created", "self.catalog = catalog"),
}
SPECS = {
    "before_node_run": "self, node, catalog", "after_node_run": "self, node, catalog",
    "on_node_error": "self, node, error", "on_pipeline_error": "self, error",
    "after_pipeline_run": "self, run_params", "before_pipeline_run": "self, run_params",
    "after_catalog_created": "self, catalog", "after_context_created": "self, context",
    "before_dataset_loaded": "self, dataset_name, node",
}  # fmt: skip
CLASS = """
class Stats:
    def __init__(self): self.rows = []
    def take(self, node): self.rows.append(node)

class Hooks:
    def __init__(self):
        self.rows, self.seconds, self.stats, self.client = [], {{}}, Stats(), log

    def _note(self, node):
        self.rows.append(node)

    def _say(self, node):
        log.info("%s", node)

    @hook_impl
    def {spec}({arguments}):
        {code}
"""


def written(spec: str, code: str) -> str:
    return CLASS.format(spec=spec, arguments=SPECS[spec], code=code)


@pytest.mark.parametrize("what", CARRYING)
def test_what_is_carried_over_nodes_is_seen(reasons: Any, what: str) -> None:
    spec, code = CARRYING[what]
    (reason,) = reasons(written(spec, code))
    assert reason.startswith(f"Hooks.{spec} ")


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ("before_node_run", "log.info('starts %s', node.name)"),
        ("before_node_run", "begun = time.time()\n        print(begun)"),
        ("before_node_run", "rows = []\n        rows.append(node.name)\n        found = {}\n        found['x'] = 1"),
        ("before_node_run", "self._say(node)"),
        ("before_node_run", "return {'x': 1}"),
        ("before_node_run", "self.client.info('x')"),
        ("after_node_run", "catalog.load('x')"),
        ("before_pipeline_run", "log.info('begins')"),
        ("on_pipeline_error", "pass"),
        ("after_pipeline_run", '"""Nothing yet."""'),
        ("after_catalog_created", "log.info('%s', catalog)"),
        ("after_context_created", "self.context = context"),
        ("before_dataset_loaded", "print(f'loads {dataset_name}')"),
    ],
)
def test_nothing_is_made_of_harmless_hooks(reasons: Any, spec: str, code: str) -> None:
    assert reasons(written(spec, code)) == []


def test_a_module_may_hold_hooks(reasons: Any) -> None:
    body = "@hook_impl\ndef after_node_run(node):\n    COUNTS[node.name] = 1\n"
    assert reasons(body, "module") == ["module.after_node_run keeps something from node to node"]


def test_hooks_of_a_base_class_count(reasons: Any) -> None:
    body = written("after_node_run", "self.rows.append(node)") + "\nclass Mine(Hooks):\n    pass\n"
    assert reasons(body, "Mine") == ["Mine.after_node_run keeps something from node to node"]


def test_the_hooks_of_batch_queues_keep_no_run_in_one_process() -> None:
    from kedro_console.batches_hooks import BatchHooks, hooks

    assert implemented(hooks) and not list(reasons_of("BatchHooks", hooks, implemented(hooks)))
    assert not list(reasons_of("Own", type("Own", (BatchHooks,), {})(), implemented(BatchHooks)))

"""Tells batch queues how a plain `kedro run` ended: `HOOKS = (hooks,)` in settings.py, or by itself when installed.

Under the console the run's own end decides, and these do nothing.
"""

from __future__ import annotations

from typing import Any

from kedro.framework.hooks import hook_impl

from kedro_console.loading import batches_file


class BatchHooks:
    @hook_impl
    def after_pipeline_run(self) -> None:
        batches_file.settle(is_good=True)

    @hook_impl
    def on_pipeline_error(self, error: Any) -> None:
        batches_file.settle(is_good=False, error=f"{type(error).__name__}: {error}")


hooks = BatchHooks()

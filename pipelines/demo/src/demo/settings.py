"""Project settings: hooks, and how configuration is read."""

from __future__ import annotations

from demo.addresses import demo_api, in_project
from demo.hooks import S3CredentialsHook, api_hooks, console_hooks

HOOKS = (*api_hooks(), S3CredentialsHook(), *console_hooks())

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "custom_resolvers": {"demo_api": demo_api, "in_project": lambda path: str(in_project(path))},
}

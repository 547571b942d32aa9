"""Project settings: hooks, and how configuration is read."""

from __future__ import annotations

from demo.addresses import demo_api
from demo.hooks import DemoApiHook, S3CredentialsHook

HOOKS = (DemoApiHook(), S3CredentialsHook())

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "custom_resolvers": {"demo_api": demo_api},
}

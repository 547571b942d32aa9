from kedro.framework.hooks import hook_impl
from omegaconf import OmegaConf


class Vault:
    @hook_impl
    def after_context_created(self, context):
        if not OmegaConf.has_resolver("folder"):
            OmegaConf.register_new_resolver("folder", lambda x: "folder-" + x)
        context.config_loader["credentials"] = {**context.config_loader["credentials"], "from_vault": {"token": "abc"}}

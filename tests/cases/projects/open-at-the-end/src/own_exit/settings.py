from own_exit.hooks import Vault

HOOKS = (Vault(),)

from console.settings import *  # noqa: F403
from console.settings import INSTALLED_APPS as NOW

INSTALLED_APPS = [*NOW, "tests.later"]

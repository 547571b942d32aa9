from django.db import models
from knox.models import AbstractAuthToken

from console.roles import Role


class ApiToken(AbstractAuthToken):
    """A hashed, expiring token that carries one role; what it may do is never more than its user may."""

    role = models.CharField(max_length=20, choices=Role, default=Role.VIEWER)
    name = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ["-created"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name or self.token_key}… ({self.role})"

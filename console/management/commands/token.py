"""Make, list and revoke API tokens; only their hashes are stored."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any, Final

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from console.acting import ActingCommand
from console.management.sentences import WRONG_USE, end
from console.models import ApiToken
from console.roles import Role, permissions
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import did_you_mean, nearest_of
from jobs.models.act import record

LONGEST_DAYS: Final = 3650


def _days(text: str) -> int:
    if not (days := whole_number(text, most=LONGEST_DAYS)):
        raise ArgumentTypeError(f"write a number of days from 1 to {LONGEST_DAYS}")
    return days


class Command(ActingCommand):
    help = "Create, list and revoke tokens for the REST API."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="Create a token and print it, once.")
        create.add_argument("user")
        create.add_argument("--role", choices=Role.values, default=Role.VIEWER.value, help="Default: viewer.")
        create.add_argument("--days", type=_days, default=90, help="How long it can be used; default: 90.")
        create.add_argument("--name", default="", help="What it is for, shown in lists.")
        verbs.add_parser("list", help="Show all tokens by their keys.")
        revoke = verbs.add_parser("revoke", help="Revoke a token at once.")
        revoke.add_argument("key", help="The first characters of it, as `token list` shows them.")

    def handle(self, *args: Any, **options: Any) -> None:
        {"create": self._create, "list": self._list, "revoke": self._revoke}[options["verb"]](options)

    def _create(self, options: dict[str, Any]) -> None:
        user = self._user(options["user"])
        row, secret = ApiToken.objects.create(
            user, timedelta(days=options["days"]), role=options["role"], name=options["name"][:100]
        )
        record("added", row, after={"user": user.get_username(), "role": row.role, "until": row.expiry})
        self.stderr.write(
            f"A {row.role} token of {user}, until {row.expiry:%d %B %Y}. It is shown this once; "
            f"use it as `Authorization: Bearer TOKEN`, revoke it with `token revoke {row.token_key}`."
        )
        if missing := sorted(name for name in permissions(row.role) if not user.has_perm(name)):
            self.stderr.write(f"{user} may not do all that the role {row.role} may ({len(missing)} permissions less).")
        self.stdout.write(secret)

    def _user(self, name: str) -> User:
        found = User.objects.filter(username=name).first()
        if found is None:
            nearest = nearest_of(name, User.objects.values_list("username", flat=True), 2, 0.6)
            hint = did_you_mean(nearest, " The admin has a page to add one.")
            end(self, WRONG_USE, [f"There is no user “{name}”.{hint}"])
        if not found.is_active:
            end(self, WRONG_USE, [f"{found} is not active, so no token of {found} would work."])
        return found

    def _list(self, options: dict[str, Any]) -> None:
        at = clock.now()
        for token in ApiToken.objects.select_related("user").order_by("user__username", "created"):
            if token.expiry is None:
                life = "forever"
            else:
                life = f"{'until' if token.expiry > at else 'expired'} {token.expiry:%Y-%m-%d}"
            self.stdout.write(f"{token.token_key}  {token.user}  {token.role}  {life}  {token.name}".rstrip())

    def _revoke(self, options: dict[str, Any]) -> None:
        found = list(ApiToken.objects.filter(token_key=options["key"]))
        if len(found) != 1:
            end(self, WRONG_USE, [f"There is no token with the key “{options['key']}”: `token list` shows the keys."])
        record("revoked", found[0], before={"user": found[0].user.get_username(), "role": found[0].role})
        found[0].delete()
        self.stdout.write(f"The token {options['key']} of {found[0].user} is revoked.")

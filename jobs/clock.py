"""The one clock: the database's, so that processes on several hosts agree on what has expired."""

from datetime import UTC, datetime

from django.db import connection


def now() -> datetime:
    """The present time, aware UTC. Doors call it once and pass it on."""
    if connection.vendor != "postgresql":
        return datetime.now(UTC)  # an embedded database has one host, whose clock is ours
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (at,) = cursor.fetchone()
    return at.astimezone(UTC)  # type: ignore[no-any-return]

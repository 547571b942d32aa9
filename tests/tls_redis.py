"""A Redis behind TLS, with a password: the embedded server speaks none, so a front of this process adds it."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis import Redis

from tests import live

PASSWORD = "p@ss/w:rd?"


@dataclass(frozen=True)
class Server:
    """A running one: its address, which needs the password beside it, and the CA that signed its certificate."""

    port: int
    ca: Path
    other_ca: Path
    """Of somebody else."""

    @property
    def url(self) -> str:
        return f"rediss://localhost:{self.port}/0"

    def environment(self, ca: Path | None = None) -> dict[str, str]:
        return {"REDIS_URL": self.url, "REDIS_PASSWORD": PASSWORD, "REDIS_CA_FILE": str(ca or self.ca)}


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    ca, other = _authority(folder / "ca.pem"), _authority(folder / "other.pem")
    assert ca != other
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder / "server.pem", ca))
    socket = folder / "plain.sock"
    command = [
        live.redis_command(), "--port", "0", "--unixsocket", str(socket), "--requirepass", PASSWORD, "--save", "",
        "--dir", str(folder),
    ]  # fmt: skip
    with live.process(*command, log=folder / "redis.log"):
        live.until(socket.exists, seconds=20, what="redis listens")
        with Redis(unix_socket_path=str(socket), password=PASSWORD) as client:
            client.config_set("maxmemory-policy", "noeviction")
        with _front(context, socket) as port:
            yield Server(port, folder / "ca.pem", folder / "other.pem")


@contextmanager
def _front(context: ssl.SSLContext, socket: Path) -> Iterator[int]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_unix_connection(str(socket))
        await asyncio.gather(_pump(reader, to_writer), _pump(to_reader, writer), return_exceptions=True)

    starting = asyncio.start_server(hear, "localhost", 0, ssl=context)
    server = asyncio.run_coroutine_threadsafe(starting, loop).result(10)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


async def _stop(server: asyncio.Server) -> None:
    server.close()
    ending = asyncio.all_tasks() - {asyncio.current_task()}
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _authority(file: Path) -> Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file.stem)])
    is_ca = x509.BasicConstraints(ca=True, path_length=None)
    made = _builder(name, name, key).add_extension(is_ca, critical=True).sign(key, hashes.SHA256())
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return made, key


def _certificate(file: Path, signer: Signer) -> Path:
    """For the name localhost alone, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made = _builder(name, signer[0].subject, key).add_extension(names, critical=False).sign(signer[1], hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return file


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
    )

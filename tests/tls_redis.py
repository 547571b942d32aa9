"""A Redis behind TLS, with a password: the embedded server speaks none, so a front of this process adds it."""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
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
    host: str = "localhost"

    @property
    def url(self) -> str:
        return f"rediss://{self.host}:{self.port}/0"

    def environment(self, ca: Path | None = None) -> dict[str, str]:
        return {"REDIS_URL": self.url, "REDIS_PASSWORD": PASSWORD, "REDIS_CA_FILE": str(ca or self.ca)}


@contextmanager
def served(folder: Path, host: str = "localhost", port: int = 0) -> Iterator[Server]:
    ca, other = _authority(folder / "ca.pem"), _authority(folder / "other.pem")
    assert ca != other
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder / "server.pem", ca, host))
    socket = folder / "plain.sock"
    command = [
        live.redis_command(), "--port", "0", "--unixsocket", str(socket), "--requirepass", PASSWORD, "--save", "",
        "--dir", str(folder),
    ]  # fmt: skip
    with live.process(*command, log=folder / "redis.log"):
        live.until(socket.exists, seconds=20, what="redis listens")
        with Redis(unix_socket_path=str(socket), password=PASSWORD) as client:
            client.config_set("maxmemory-policy", "noeviction")
        with _front(context, socket, host, port) as listening:
            yield Server(listening, folder / "ca.pem", folder / "other.pem", host)


@contextmanager
def _front(context: ssl.SSLContext, socket: Path, host: str, port: int) -> Iterator[int]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_unix_connection(str(socket))
        await asyncio.gather(_pump(reader, to_writer), _pump(to_reader, writer), return_exceptions=True)

    starting = asyncio.start_server(hear, host, port, ssl=context)
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


def _certificate(file: Path, signer: Signer, host: str) -> Path:
    """For this name or address alone, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    is_name = host[-1:].isalpha()
    names = x509.SubjectAlternativeName([x509.DNSName(host) if is_name else x509.IPAddress(ip_address(host))])
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


def main(folder: str, host: str, port: str) -> None:
    """Serve at this address until it is asked to end."""
    with served(Path(folder), host, int(port)):
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(*sys.argv[1:])

"""What the manifests of Kubernetes say that is run, and how it is probed."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.live import ROOT
from tests.shipped.container import Container

FOLDER = ROOT / "deploy" / "kubernetes"
POD = "10.42.0.17"
"""The kubelet names a pod by its address, which is in no ALLOWED_HOSTS."""


@dataclass(frozen=True)
class Pod:
    spec: dict[str, Any]
    image: str

    @property
    def container(self) -> dict[str, Any]:
        (found,) = self.spec["containers"]
        return dict(found)

    @property
    def volumes(self) -> dict[str, str]:
        """The name of each, by where it is mounted; /tmp is there anyway."""
        mounts = {each["mountPath"]: each["name"] for each in self.container["volumeMounts"]}
        return {path: name for path, name in mounts.items() if path != "/tmp"}

    @property
    def environment(self) -> dict[str, str]:
        return {each["name"]: each["value"] for each in self.container.get("env", [])}

    def probes(self) -> dict[str, dict[str, Any]]:
        return {name: probe for name, probe in self.container.items() if name.endswith("Probe")}


def pod(name: str) -> Pod:
    documents = list(yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text()))
    template = next(each["spec"]["template"] for each in documents if each["kind"] in ("Deployment", "Job"))
    (container,) = template["spec"]["containers"]
    return Pod(template["spec"], container["image"])


def settings() -> dict[str, str]:
    documents = yaml.safe_load_all((FOLDER / "settings.yaml").read_text())
    return dict(next(each["data"] for each in documents if each["kind"] == "ConfigMap"))


def ask(probe: dict[str, Any], container: Container, port: int) -> tuple[bool, str]:
    """Whether the probe passes, and what it was told."""
    if "exec" in probe:
        ended = container.exec(probe["exec"]["command"])
        return ended.returncode == 0, ended.stdout + ended.stderr
    headers = {each["name"]: each["value"] for each in probe["httpGet"].get("httpHeaders", [])}
    status, body = get(port, probe["httpGet"]["path"], {"Host": f"{POD}:{port}", **headers})
    return 200 <= status < 400, f"{status} {body}"


def get(
    port: int, path: str, headers: dict[str, str], *, method: str = "GET", body: str | None = None
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()


def manifests() -> list[Path]:
    return sorted(file for file in FOLDER.glob("*.yaml") if file.name != "kustomization.yaml")

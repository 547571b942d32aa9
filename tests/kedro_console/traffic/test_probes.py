"""What cloud libraries ask to find out where they are is no request of a node."""

from __future__ import annotations

import pytest

from kedro_console.traffic.probes import is_probe


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/api/token",
        "http://169.254.169.254:80/latest/meta-data/iam/security-credentials/",
        "http://169.254.170.2/v2/credentials/x",
        "http://169.254.170.23/v1/credentials",
        "http://[fd00:ec2::254]/latest/api/token",
        "http://[fd00:ec2:0:0:0:0:0:254]/latest/api/token",
        "http://[::ffff:169.254.169.254]/latest/",
        "http://[fe80::a9fe:a9fe%25eth0]/",
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://METADATA.google.internal./computeMetadata/v1/",
        "http://metadata/computeMetadata/v1/",
        "http://100.100.100.200/latest/meta-data/",
        "169.254.169.254:80",
    ],
)
def test_metadata_services_of_clouds_are_known(url: str) -> None:
    assert is_probe(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/?next=http://169.254.169.254/",
        "https://169.254.169.254.example.com/",
        "http://metadata.example.com/",
        "http://10.0.0.1/",
        "http://127.0.0.1:8000/metadata",
        "http://[::1]/",
        "http://[fd00::1]/",
        "http://[",
        "",
    ],
)
def test_other_hosts_are_not(url: str) -> None:
    assert not is_probe(url)

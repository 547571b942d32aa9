"""Which packages may be proposed for installation: only names that somebody we can trust has written down.

A module's name is not its package's name, and a name that nobody has taken can be taken by anybody.
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
from pathlib import Path

OTHER_NAMES = {
    "Bio": "biopython", "MySQLdb": "mysqlclient", "PIL": "pillow", "attr": "attrs", "bs4": "beautifulsoup4",
    "compress_pickle": "compress-pickle", "cv2": "opencv-python", "dateutil": "python-dateutil",
    "docx": "python-docx", "dotenv": "python-dotenv", "fitz": "PyMuPDF", "git": "GitPython", "ibis": "ibis-framework",
    "jwt": "PyJWT", "kedro_datasets": "kedro-datasets", "kedro_mlflow": "kedro-mlflow", "kedro_viz": "kedro-viz",
    "odf": "odfpy", "pandas_gbq": "pandas-gbq", "pptx": "python-pptx", "psycopg2": "psycopg2-binary",
    "pythonjsonlogger": "python-json-logger", "sentry_sdk": "sentry-sdk", "skimage": "scikit-image",
    "sklearn": "scikit-learn", "sqlalchemy": "SQLAlchemy", "yaml": "PyYAML",
    "google.cloud.bigquery": "google-cloud-bigquery", "google.cloud.storage": "google-cloud-storage",
    "google.cloud.secretmanager": "google-cloud-secret-manager", "snowflake.snowpark": "snowflake-snowpark-python",
    "snowflake.connector": "snowflake-connector-python", "azure.identity": "azure-identity",
    "azure.storage.blob": "azure-storage-blob", "azure.keyvault.secrets": "azure-keyvault-secrets",
}  # fmt: skip
"""Modules whose package on PyPI has another name."""

_SAME_NAME = (
    "adlfs aiohttp altair bokeh boto3 botocore catboost click cloudpickle colorlog dask deltalake dill "
    "duckdb faker fastapi fastparquet flask fsspec gcsfs geopandas h5py httpx jinja2 joblib kedro keras "
    "lightgbm loguru lxml matplotlib mlflow networkx nltk numba numpy openpyxl optuna pandas pandera plotly "
    "polars prophet psycopg pyarrow pydantic pymongo pymssql pyodbc pyspark pytest pyxlsb redis requests "
    "rich s3fs scipy seaborn shap shapely spacy statsmodels streamlit tables tenacity tensorflow toml torch "
    "tqdm transformers ujson xgboost xlrd xlsxwriter"
)
SAME_NAME = frozenset(_SAME_NAME.split())
"""Modules whose package has the same name."""

_NAME = re.compile(r"^\s*[\"']?([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(?:[<>=!~;@,\"']|$)")
_FILES = ("requirements*.txt", "src/requirements*.txt", "requirements/*.txt")


def package_of(module: str) -> str:
    """The package that brings this module, by its name on PyPI; the top-level module's name when nobody says."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if name := OTHER_NAMES.get(".".join(parts[:length])):
            return name
    return _listed().get(normal(parts[0]), parts[0])


def is_known(package: str) -> bool:
    """Whether this package may be proposed: it is listed by the project, by Kedro's own packages, or here."""
    name = normal(package.partition("[")[0])
    return name in _listed() or name in SAME_NAME or name in {normal(each) for each in OTHER_NAMES.values()}


def normal(name: str) -> str:
    """As packages and their extras are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


@functools.lru_cache(maxsize=1)
def _listed() -> dict[str, str]:
    """What the project in the working folder and the installed Kedro packages ask for: normal name → name."""
    return {normal(name): name for name in (*_of_metadata(), *_of_files(Path.cwd()))}


def _of_metadata() -> list[str]:
    found = []
    for package in ("kedro", "kedro-datasets"):
        try:
            found += importlib.metadata.requires(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
    return [name for line in found for name in _names(line)]


def _of_files(project_path: Path) -> list[str]:
    files = [file for pattern in _FILES for file in sorted(project_path.glob(pattern))]
    lines = [line for file in files for line in _text(file).splitlines()]
    return [name for line in (*lines, *_dependencies(_text(project_path / "pyproject.toml"))) for name in _names(line)]


def _dependencies(text: str) -> list[str]:
    """The quoted entries of the lists in [project] and its optional dependencies."""
    sections = re.findall(r"^\[project(?:\.optional-dependencies)?\](.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    return [entry for section in sections for entry in re.findall(r"[\"']([^\"']+)[\"']", section)]


def _names(line: str) -> list[str]:
    found = _NAME.match(line)
    return [found.group(1)] if found else []


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""

"""Where things lie: the checkout when the working directory is inside one, else the installed package.

papermill runs in the caller's folder, nbval and JupyterLab in the notebook's, Dask workers anywhere: so every
path of the project is asked for here, and nothing depends on the working directory but the choice of the checkout.
"""

import os
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
MARKERS = ("pyproject.toml", "lib/credence/__init__.py")


def _is_checkout(folder: Path) -> bool:
    return all((folder / marker).is_file() for marker in MARKERS)


@cache
def _find_checkout(start: Path) -> Path | None:
    return next((folder for folder in (start, *start.parents) if _is_checkout(folder)), None)


def checkout() -> Path | None:
    """Return the checkout's root: around the working directory, else around an editable install, else None."""
    return _find_checkout(Path.cwd().resolve()) or _find_checkout(PACKAGE)


def root() -> Path:
    """Return the folder that relative settings resolve against: the checkout, else the working directory."""
    return checkout() or Path.cwd().resolve()


def _resource(name: str) -> Path:
    tree = checkout()
    return tree / name if tree else PACKAGE / "resources" / name


def data_dir() -> Path:
    """Return the folder of the catalogue, the claims and the data in git."""
    return _resource("data")


def notebooks_dir() -> Path:
    """Return the folder of the notebooks, one sub-folder a paper."""
    return _resource("notebooks")


def reports_dir() -> Path:
    """Return the folder for runs and reports (``CREDENCE_REPORTS`` overrides); it need not exist yet."""
    setting = os.environ.get("CREDENCE_REPORTS")
    return (root() / setting).resolve() if setting else root() / "reports"


def runs_dir() -> Path:
    """Return the folder of the finished runs, ``<paper>/<notebook>/<run_id>`` below it."""
    return reports_dir() / "runs"


def mirror() -> Path | str | None:
    """Return what ``CREDENCE_MIRROR`` names: a folder (relative: from the root), a URL, or None if unset."""
    setting = os.environ.get("CREDENCE_MIRROR", "").strip()
    if not setting:
        return None
    if setting.startswith(("http://", "https://")):
        return setting.rstrip("/")
    return (root() / setting).resolve()


def cache_dir() -> Path:
    """Return the folder of downloaded data and fitted models (``CREDENCE_CACHE`` overrides)."""
    setting = os.environ.get("CREDENCE_CACHE")
    if setting:
        return (root() / setting).resolve()
    import platformdirs

    return Path(platformdirs.user_cache_dir("credence"))


def shown(path: Path) -> str:
    """Return `path` as it may be printed and stored: relative to the root where it lies below it."""
    path = Path(path)
    try:
        return str(path.resolve().relative_to(root()))
    except ValueError:
        return path.name

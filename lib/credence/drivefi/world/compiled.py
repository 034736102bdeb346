"""How the world's loops are compiled: cached under a hash of the world's modules and of the declared variables."""

from pathlib import Path

from credence.bench.compiled import compilers

HERE = Path(__file__).parent
SOURCES = (
    *(HERE / f"{name}.py" for name in ("drive", "kernel", "parameters", "perceive", "safety", "stage", "state")),
    HERE.parent / "data" / "variables.py",
)

kernel, helper = compilers(SOURCES)

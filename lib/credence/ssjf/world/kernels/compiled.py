"""How the simulator's loops are compiled: cached under a hash of this whole folder."""

from pathlib import Path

from credence.bench.compiled import compilers

SOURCES = tuple(sorted(Path(__file__).parent.glob("*.py")))

kernel, helper = compilers(SOURCES)

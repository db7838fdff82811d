"""Compiled programs kept on disk, so that another process of the same sweep need not compile them again.

What to use when
----------------
- `keep_compiled`: before the first program of a process is compiled.
"""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Any

from townsend.networks.backend import jax_keras

__all__ = ["keep_compiled"]

_PROCESSOR = Path("/proc/cpuinfo")
_SHORTEST_S = 0.5  # what compiles faster is not worth a file


def keep_compiled(folder: Path) -> None:
    """Let JAX keep the programs it compiles in a folder, and take them from there.

    Arguments:
        folder: may be shared by machines; each kind of processor has a folder of its own in it, since a program made
            for one may use instructions that another does not have.

    Raises InputError when another backend than JAX was chosen.
    """
    jax_keras()
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    config: Any = jax.config  # has no types
    place = str(folder / _kind_of_processor())
    if config.jax_compilation_cache_dir == place:
        return
    config.update("jax_compilation_cache_dir", place)
    config.update("jax_persistent_cache_min_compile_time_secs", _SHORTEST_S)
    compilation_cache.reset_cache()  # else the folder of an earlier sweep would be kept


def _kind_of_processor() -> str:
    """Return a short mark of the processor's model and instructions."""
    try:
        lines = _PROCESSOR.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    telling = [line for line in lines if line.startswith(("model name", "flags", "Features"))][:2]
    return hashlib.sha256("\n".join([platform.machine(), platform.processor(), *telling]).encode()).hexdigest()[:12]

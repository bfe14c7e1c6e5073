"""Which BLAS MLX multiplies with, and a faster one for the benchmarks on Linux where that can be had.

MLX's Linux wheel brings the reference BLAS. Where there is a C compiler and numpy's wheel brings OpenBLAS, a shim of a
few lines (`blas_shim.c`) is compiled into a temporary folder and preloaded: `restart_with_openblas()` runs the program
again with it, once. Results name the BLAS; on a Mac, MLX uses Metal or Accelerate and nothing is done.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy

SOURCE = Path(__file__).with_name("blas_shim.c")
_NAME = "LEMFARM_BENCH_BLAS"
_CONFIG = "scipy_openblas_get_config64_"


def blas_name() -> str:
    """What the results are to name."""
    if sys.platform == "darwin":
        return "Apple's"
    return os.environ.get(_NAME, "the reference BLAS of MLX's wheel")


def restart_with_openblas() -> None:
    """Run this program again with OpenBLAS under MLX; return where it runs so already, or where it cannot be had."""
    if sys.platform != "linux" or _NAME in os.environ:
        return
    library, compiler = _openblas(), shutil.which("cc") or shutil.which("gcc")
    if library is None or compiler is None:
        return
    with tempfile.TemporaryDirectory(prefix="lemfarm-blas-") as folder:
        shim = _compile(compiler, library, Path(folder))
        if shim is None:
            return
        # One thread: two of them were seen to slow products of few rows down by an order of magnitude.
        preloaded = {"LD_PRELOAD": str(shim), "OPENBLAS_NUM_THREADS": "1", _NAME: _describe(library)}
        raise SystemExit(subprocess.run([sys.executable, *sys.argv], env=os.environ | preloaded).returncode)


def _openblas() -> Path | None:
    return next(Path(numpy.__file__).parents[1].glob("numpy.libs/libscipy_openblas64_*.so*"), None)


def _compile(compiler: str, library: Path, folder: Path) -> Path | None:
    shim = folder / "shim.so"
    command = [compiler, "-O2", "-shared", "-fPIC", str(SOURCE), "-o", str(shim), str(library)]
    made = subprocess.run([*command, f"-Wl,-rpath,{library.parent}"], capture_output=True, check=False)
    return shim if made.returncode == 0 else None


def _describe(library: Path) -> str:
    config = getattr(ctypes.CDLL(str(library)), _CONFIG)
    config.restype = ctypes.c_char_p
    return " ".join(config().decode().split()[:2]) + ", one thread"

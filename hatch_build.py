"""Builds the compiled kernel beside its sources: part of the normal build of the package, and by hand `python hatch_build.py`.

Without a C compiler, or without XLA's headers (they come with jaxlib), there is no kernel and the package works as well, more
slowly. The library holds code for several generations of processors where the compiler can write that.
"""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from hashlib import sha256
from itertools import product
from pathlib import Path

FOLDER = Path(__file__).parent / "defectgen" / "kernel"
INTERFACE = "0"
"""Major version of XLA's interface to compiled kernels that the sources are written for."""
FLAGS = ["-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fPIC", "-shared", "-w"]

# some systems have no loader that picks code for the processor at hand: there code for all processors has to do; and no threads
PLAINER = (["-pthread"], ["-pthread", "-DONE_PROCESSOR"], ["-DONE_PROCESSOR", "-DONE_THREAD"])


def fingerprint() -> str:
    """Of the sources; the package refuses a library that was built from others."""
    return sha256(b"".join(path.read_bytes() for path in sorted(FOLDER.glob("*.[ch]")))).hexdigest()[:16]


def interface(headers: Path) -> str | None:
    """Major version of the interface to compiled kernels that headers of XLA declare; None if there is none."""
    try:
        text = (headers / "xla" / "ffi" / "api" / "c_api.h").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"^#define XLA_FFI_API_MAJOR (\d+)", text, re.MULTILINE)
    return None if found is None else found[1]


def build_kernel() -> str | None:
    """Compile the kernel; why there is none, in words, or None if there is."""
    library = FOLDER / "kernel.so"
    library.unlink(missing_ok=True)
    jaxlib = importlib.util.find_spec("jaxlib")
    if jaxlib is None or jaxlib.origin is None:
        return "jaxlib, with XLA's headers, is not installed"
    headers = Path(jaxlib.origin).parent / "include"
    if (found := interface(headers)) != INTERFACE:
        return f"XLA's interface to kernels has version {found} in the installed jaxlib, and the sources are for {INTERFACE}"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    failed = ""
    for candidate, plain in product(dict.fromkeys((compiler, "cc", "gcc", "clang")), PLAINER):
        defined = [f'-DSOURCES="{fingerprint()}"', *plain]
        sources = [str(path) for path in sorted(FOLDER.glob("*.c"))]
        command = [candidate, *FLAGS, *defined, f"-I{headers}", *sources, "-o", str(library), "-lm"]
        try:
            done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
        except OSError as error:
            failed = f"{candidate}: {error.strerror}"
            continue
        if done.returncode == 0:
            return None
        failed = f"{candidate} failed: {done.stderr.strip()[-500:]}"
        library.unlink(missing_ok=True)
    return failed


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # called by hand, where hatchling is not installed
    pass
else:

    class KernelHook(BuildHookInterface):
        """A wheel with the kernel is for one platform, one without it for all."""

        def initialize(self, version: str, build_data: dict) -> None:
            reason = build_kernel()
            if reason is not None:
                self.app.display_warning(f"no compiled kernel, everything works without it: {reason}")
                return
            build_data["artifacts"].append("/defectgen/kernel/kernel.so")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


if __name__ == "__main__":
    sys.exit(build_kernel())

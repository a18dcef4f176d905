"""Compiles the hot modules with Cython; without it, or without a C compiler, the same files run as they are.

VOLFUSE_COMPILE=0 leaves everything plain Python, VOLFUSE_COMPILE=1 fails where compiling does. Everything else is in
setup.cfg.
"""

import os
from pathlib import Path

from setuptools import Extension, setup

REPLACED = {Path("volfuse/sys", name) for name in ("fusedev.pxd", "raw.pxd")} | {
    Path("volfuse/transport/kernel/wire/encoding.pxd")
}
"""These have C functions in place of their modules' Python ones, which therefore stay as they are."""
CFLAGS = ["-O2", "-Wno-unused-function"]


def extensions() -> list[Extension]:
    """Return an extension for each module that has its types in a .pxd."""
    wanted = os.environ.get("VOLFUSE_COMPILE", "")
    if wanted == "0":
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        if wanted == "1":
            raise
        return []
    modules = []
    for declared in sorted(Path("volfuse").rglob("*.pxd")):
        if declared in REPLACED:
            continue
        source = declared.with_suffix(".py")
        name = ".".join(source.with_suffix("").parts)
        modules.append(Extension(name, [str(source)], optional=wanted != "1", extra_compile_args=CFLAGS))
    # Types are those of the .pxd files: what Python's annotations say is more, and other, than Cython makes of it.
    directives = {"language_level": "3", "annotation_typing": False}
    built: list[Extension] = cythonize(modules, compiler_directives=directives, build_dir="build/cython")
    return built


setup(ext_modules=extensions(), options={"build_ext": {"parallel": os.cpu_count()}})

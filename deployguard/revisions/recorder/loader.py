"""Run by the bootstrap with `request` as a global: import the recorder from the sources that came with it."""

import base64
import importlib.abc
import importlib.util
import marshal
import sys

_NAME = "deployguard_recorder"


class _FromRequest(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the recorder's modules in the request; nothing is written to a disk."""

    # No annotations here, and so the silencers: this file must run on whatever Python the project has.

    def __init__(self, sources, compiled):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204 - runs anywhere
        self.sources = sources
        same = compiled.get("magic") == importlib.util.MAGIC_NUMBER.hex()
        self.compiled = compiled if same else {}

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        if name == _NAME or name.startswith(_NAME + "."):
            return importlib.util.spec_from_loader(name, self, is_package=name == _NAME)
        return None

    def create_module(self, spec):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return None

    def exec_module(self, module):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        short = module.__name__.rpartition(".")[2] if "." in module.__name__ else "__init__"
        if short in self.compiled:
            code = marshal.loads(base64.b64decode(self.compiled[short]))  # noqa: S302 - our parent's
        else:
            code = compile(self.sources[short], f"<deployguard {short}>", "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - the source is our own package's


request = globals()["request"]
sys.meta_path.insert(0, _FromRequest(request.pop("sources"), request.pop("compiled")))  # type: ignore[no-untyped-call]
importlib.import_module(_NAME + ".main").main(request)

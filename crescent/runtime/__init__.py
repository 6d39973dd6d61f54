"""Where engines and embedders run: in this process, or in the workers of a Ray cluster."""

from crescent.runtime.local import LocalRuntime, RayRuntime

__all__ = ["LocalRuntime", "RayRuntime"]

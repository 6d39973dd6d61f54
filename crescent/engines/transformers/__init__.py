from crescent.engines.transformers.settings import TransformersSettings

__all__ = ["TransformersSettings"]

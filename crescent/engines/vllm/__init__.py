from crescent.engines.vllm.settings import VllmSettings

__all__ = ["VllmSettings"]

from crescent.engines.server.settings import ServerSettings

__all__ = ["ServerSettings"]

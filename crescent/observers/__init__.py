"""Reports of a run while it works: the terminal, summary.json and W&B."""

from crescent.observers.tracking import NoTracking, WandbTracking

__all__ = ["NoTracking", "WandbTracking"]

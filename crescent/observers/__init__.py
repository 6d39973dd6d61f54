"""What a run tells while it goes on: the terminal, summary.json and W&B."""

from crescent.observers.tracking import NoTracking, WandbTracking

__all__ = ["NoTracking", "WandbTracking"]

"""Verification: the model itself judges whether a text is one complete, answerable problem. Zero supervision."""

from crescent.verification.settings import NoVerification, SelfVerification, Verification

__all__ = ["NoVerification", "SelfVerification", "Verification"]

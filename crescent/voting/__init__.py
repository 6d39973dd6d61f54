"""Voting: each question is answered several times, and the most frequent answer wins."""

from crescent.voting.calibration import NoOracle
from crescent.voting.majority import VoteResult, vote
from crescent.voting.rules import Adaptive, Dissent, FormatOnly, Majority, Rule, Single

__all__ = ["Adaptive", "Dissent", "FormatOnly", "Majority", "NoOracle", "Rule", "Single", "VoteResult", "vote"]

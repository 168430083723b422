"""Suppression with a reason: what people accept, in revision files, in the configuration and in a baseline. Pure."""

from deployguard.accept.baseline import Baseline, entries
from deployguard.accept.matching import Accepted, Against, accept
from deployguard.accept.scan import Scanned, scan

__all__ = ["Accepted", "Against", "Baseline", "Scanned", "accept", "entries", "scan"]

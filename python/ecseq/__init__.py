"""Event sequences scored through representatives."""

from ecseq._core import version as __version__
from ecseq._dispatch import cpu_info

__all__ = ["__version__", "cpu_info"]

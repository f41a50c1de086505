"""The demonstration: simulated card payments, the whole job, and a report of it.

``ecseq.demo.simulate`` makes the payments, ``ecseq.demo.run_demo`` trains, compares and explains,
``ecseq.demo.write_report`` lays the results out as one page.  Everything here is simulated data.
"""

from __future__ import annotations

from ecseq.demo.report import DemoResults, write_report
from ecseq.demo.run import DemoOptions, run_demo
from ecseq.demo.simulator import LABEL_DELAY_DAYS, simulate

__all__ = [
    "LABEL_DELAY_DAYS",
    "DemoOptions",
    "DemoResults",
    "run_demo",
    "simulate",
    "write_report",
]

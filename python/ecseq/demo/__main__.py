"""``python -m ecseq.demo``: the demonstration with its default options."""

from __future__ import annotations

import sys

from ecseq.demo.run import main

sys.exit(main())

"""Stands for the build of the extension module that suits this machine."""

import sys

from ecseq._dispatch import load_core

# The import system returns what it finds here after this file has run.
sys.modules[__name__] = load_core()

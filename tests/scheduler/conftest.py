"""Set before any test module of this folder is imported."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the tests make their models themselves

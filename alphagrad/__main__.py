"""``python -m alphagrad``: the same as the command ``alphagrad``."""

from alphagrad.cli import main

if __name__ == "__main__":
    main()

"""Lets ``python -m deployguard`` do what the console script does."""

from deployguard.cli import main

if __name__ == "__main__":
    main()

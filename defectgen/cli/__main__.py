"""``python -m defectgen.cli``."""

from defectgen.cli.main import main

if __name__ == "__main__":
    main()

"""`python -m nnsearch`."""

from nnsearch.cli import main

if __name__ == "__main__":
    main()

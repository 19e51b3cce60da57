"""`python -m gateway` is `aval`."""

from gateway.cli import main

if __name__ == "__main__":
    main()

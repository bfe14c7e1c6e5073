"""`python -m lemfarm`: the command line, where its script is not on PATH."""

from lemfarm.cli import main

if __name__ == "__main__":
    main()

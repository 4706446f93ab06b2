"""`python -m sleepdefense`: the command line, where no script is installed or on the path."""

from sleepdefense.cli import main

if __name__ == "__main__":
    main()

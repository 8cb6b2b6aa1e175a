"""`python -m ec2tasks` is the console script."""

from ec2tasks.program import main

if __name__ == "__main__":
    main()

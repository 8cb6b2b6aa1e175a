"""What runs on the instance, its shell scripts, and the module here that each of them talks to."""

from ec2tasks import ns  # noqa: F401  # `inv --list` shows the tasks

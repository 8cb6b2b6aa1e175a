"""Tasks of this project, each a function under `@task`: `inv --list` shows them and those of ec2tasks."""

from ec2tasks import with_ec2

ns = with_ec2(__name__)  # every task in this file, above or below, and `ec2`

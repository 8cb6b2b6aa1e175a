"""The instance's role gives it S3; no credential of the user ever reaches it."""

from __future__ import annotations

from pathlib import Path

from support.project import ScratchProject

from ec2tasks.aws.client import Aws

SECRETS = "hush-hush-credentials"


def test_the_role_reads_s3_with_no_credentials_there(local_project: ScratchProject, aws: Aws) -> None:
    assert local_project.ec2tasks("admin.setup").code == 0
    s3 = aws.session.client("s3", endpoint_url=aws.endpoint.api_url)
    s3.create_bucket(Bucket="datasets", CreateBucketConfiguration={"LocationConstraint": aws.region})
    s3.put_object(Bucket="datasets", Key="digits.csv", Body=b"1,2,3\n")
    (Path(local_project.environ["HOME"]) / ".aws").mkdir()
    local_project.environ |= {"AWS_ACCESS_KEY_ID": SECRETS, "AWS_SECRET_ACCESS_KEY": SECRETS}
    install = "python3 -m venv ~/cli && ~/cli/bin/pip install -q --disable-pip-version-check awscli"
    ready = local_project.ec2tasks("run", "--leave", install)
    assert ready.code == 0, ready.err
    listed = local_project.ec2tasks("run", "--leave", "~/cli/bin/aws s3 ls s3://datasets")
    assert listed.code == 0, listed.err
    assert "digits.csv" in listed.out
    # Written so that the command's own text is not what it finds.
    look = "ls -d ~/.aws; env | grep 'hush-[h]ush'; grep -rl 'hush-[h]ush' ~ /tmp /proc/*/environ"
    looked = local_project.ec2tasks("run", "--leave", look)
    assert looked.out == ""

"""What an administrator sets up once in the AWS account: policy, user group, roles, security group.

Start with `policy.policy_text`, the IAM policy that users need, and `setup.setup`, which changes the account;
`account` reads what it already has; `permission_set.set_up` is for users of IAM Identity Center.
"""

"""What an administrator sets up once in the account: policies, roles, the security group."""

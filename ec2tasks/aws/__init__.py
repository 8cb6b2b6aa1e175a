"""What AWS is asked: instances, images, key pairs, security groups, prices, quotas, the launch.

Start with `client.Aws`, the clients of one region, `instances.Instance`, an instance as AWS describes it,
`launch.launch`, which launches one as `launch.plan_launch` has planned it, and `errors.explain`, which puts
AWS's errors into the user's words; `login.Login` is whose credentials it is asked with. Bringing up and
ending stands in `start_and_end`.
"""

"""What AWS is asked: instances, images, key pairs, security groups, prices, quotas, the launch."""

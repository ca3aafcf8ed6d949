"""What a network is trained for: each term maps (restored, target) to a scalar."""

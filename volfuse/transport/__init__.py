"""Ways to serve views. A transport translates requests; what they mean is in `fs`."""

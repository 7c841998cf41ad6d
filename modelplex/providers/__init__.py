"""The upstreams, one module each."""

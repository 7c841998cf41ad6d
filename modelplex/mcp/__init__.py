"""The host's tools: servers that run as children or elsewhere, and calls to them."""

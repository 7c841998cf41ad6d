"""The Model Context Protocol, between bytes and values: pure."""

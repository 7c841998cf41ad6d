"""The Anthropic Messages API, both ways: requests, replies, streams and errors."""

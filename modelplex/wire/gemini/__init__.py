"""The Gemini API, both ways: requests, replies, streams and errors."""

"""Bytes to values and back: framing and dialects, free of I/O."""

"""The HTTP that a guest sees."""

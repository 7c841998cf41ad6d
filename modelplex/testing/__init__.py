"""Verified fakes and strategies, importable by users."""

"""Connections to where the operator says: HTTP as a client, for models and tools."""

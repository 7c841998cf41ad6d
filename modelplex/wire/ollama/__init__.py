"""Ollama's native dialect: ``/api/chat`` and ``/api/generate``, both ways."""

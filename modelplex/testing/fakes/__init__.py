"""Fakes on real sockets: upstreams that speak their APIs, a guest, a service."""

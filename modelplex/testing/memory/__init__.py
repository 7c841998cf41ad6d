"""A whole Modelplex without a socket: the guest, the house and the upstreams."""

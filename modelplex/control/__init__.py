"""The operator's own socket: who may look inside, and what there is to see."""

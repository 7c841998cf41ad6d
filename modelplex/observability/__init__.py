"""What can be seen: logs."""

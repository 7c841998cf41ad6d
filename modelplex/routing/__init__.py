"""Which provider answers: pure tables, and failover."""

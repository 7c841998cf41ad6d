"""What is kept in files: definitions of tools, and the audit log."""

"""The modelplex command, one module a subcommand."""

"""Speed of Modelplex, measured: a fake upstream, a load generator and a report."""

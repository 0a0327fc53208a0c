"""Groups: the traces of one fingerprint, as one problem with a status."""

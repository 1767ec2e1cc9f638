"""Systems of other authorities: the port, a connector over HTTP, how each of them is."""

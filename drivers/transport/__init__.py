"""How bytes reach a device. A driver never opens a port itself."""

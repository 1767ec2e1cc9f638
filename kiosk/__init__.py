"""The terminal: pure flow, service and Qt Quick screens. See docs/architecture.md."""

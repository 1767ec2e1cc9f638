"""The daemon on every machine: owns the peripherals, keeps the outbox, speaks to the broker."""

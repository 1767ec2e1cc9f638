"""How a process reaches others beyond its machine: affairs over HTTP, MQTT, the outbox."""

"""Everything that crosses a process or machine: envelopes, topics, messages, their schemas."""

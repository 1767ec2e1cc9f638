"""呼叫帮办: a machine calls for somebody, and hands over what has been done so far."""

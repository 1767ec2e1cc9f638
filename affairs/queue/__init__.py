"""The hall's queues: services, numbers, the order of calls, windows, appointments, forecasts."""

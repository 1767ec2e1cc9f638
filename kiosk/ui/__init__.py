"""The Qt Quick window. No network, no decisions: it draws the view and sends taps."""

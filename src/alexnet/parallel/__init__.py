"""Training on several devices: how processes are started, and how they share the work of a step."""

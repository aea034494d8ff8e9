"""Alerts: the outbox of incidents, its delivery to endpoints, the sensors that fill it, the watchdog."""

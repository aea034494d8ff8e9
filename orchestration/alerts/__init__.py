"""Telling a person once: the outbox of incidents, its delivery to endpoints, the sensors that feed it, the watchdog."""

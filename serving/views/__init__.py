"""What an answer says: functions from one version of the store to JSON, without HTTP."""

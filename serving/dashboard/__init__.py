"""The dashboard: the published store as pages for people.

Here: pages, their charts, and the process they run in. Not here: what an answer says (`serving.views`).
"""

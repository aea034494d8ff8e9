"""The home as a resource of Dagster's assets, checks, jobs and sensors.

Here: the annotation. Not here: the home itself (`orchestration.resources`), which commands open without Dagster.
"""

import dagster as dg

from orchestration.resources import Assay

AssayResource = dg.ResourceParam[Assay]

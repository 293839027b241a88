"""Cloud Monitoring as code: what `lastcall gcp plan|apply|destroy` creates, compares and removes.

`definitions` reads the JSON files of `dashboards/cloud-monitoring`, `plan` compares them with what a
project has (pure), `api` talks to Google, `execute` carries a plan out. Runs on a laptop or in CI, never
in the host process.
"""

"""A loopback Cloud Monitoring and Cloud Logging configuration service: keeps state, enforces the documented rules.

`state` decides, `grpc_front` and `rest_front` speak the two protocols. It is what Google's own clients, gcloud and
`lastcall gcp` are run against; no part of the product knows of it.
"""

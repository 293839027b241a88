"""A multi-tenant chat backend in the middle of a migration."""

"""The HTTP API: thin endpoints over services that ask a store and the numpy core. Generic over kinds."""

"""The device kinds, one file each; `devices.registry.discover` finds them."""

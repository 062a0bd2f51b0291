"""What the kinds do, one file each; `simulators.behaviour.discover` finds them."""

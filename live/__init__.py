"""What devices say this moment, for those who watch: from the broker, to any number of streams, kept nowhere."""

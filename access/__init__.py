"""Who may do what: keys, people, sessions, enrolled devices, and the audit log of it all, in the records."""

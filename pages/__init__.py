"""What people see: pages and walls in the same process as the API, in Chinese and English. They work offline."""

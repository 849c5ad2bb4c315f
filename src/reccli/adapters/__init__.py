"""One package a service. SDK types and SDK errors stop here; adapters do not know each other."""

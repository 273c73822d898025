"""The parts of bench/run: the servers, the scenarios, and the records."""

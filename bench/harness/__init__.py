"""What bench/run is made of: the servers, the scenarios, and the records."""

"""The numbers: spaces as cubes, Gaussian processes, past studies, ranks, fidelities. Pure."""

"""Studies to and from files: spotwise's own export, Optuna's storages, Ray Tune's experiment folders."""

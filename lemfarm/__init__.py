"""lemfarm: a self-distillation farm for Apple Silicon Macs."""

__version__ = "0.1.0"

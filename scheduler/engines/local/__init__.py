"""The local engine: this machine as it is, or behind an emulated spot market. Import from ``.engine``, ``.market``.

Nothing is imported here on purpose: ``.node`` is started once an attempt and must start fast.
"""

"""What plugins use, by the name it has in upstream's releases.

.. versionadded:: 26.11.0
"""

from gevent.monkey import get_original, patch_item, patch_module, remove_item

__all__ = ["get_original", "patch_item", "patch_module", "remove_item"]
